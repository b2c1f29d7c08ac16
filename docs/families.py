"""Make the figures of docs/mpcc.md: galaxies of both families for the same rows, and a table.

    python docs/families.py

Writes ``_static/families.png``, one row of galaxies for each module, and ``_static/families.md``, a
table of the figures that ``galsim-deep validate`` has written to the cards of the modules.  The
text of docs/mpcc.md states the versions of the modules with which they were measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from contact_sheet import columns, pictures

import galsim_deep
from galsim_deep.modules.card import Card
from galsim_deep.modules.readme import with_error
from galsim_deep.picture import contact_sheet, write_png

MODULES = ("acs_flow_vae", "acs_mpcc")
COUNT = 12
"""Galaxies in a row."""
FAINTEST = 23.5
"""Magnitude of the faintest galaxy: fainter ones are small and look alike."""
GALAXIES = "real_galaxies (held-out, judges)"
"""The real galaxies on the cards: those of the collection that were held out."""
NATURAL_SIZE = {
    "small-scale power over real, mag < 22.5, finest, 0.10 to 0.15″":
        "small-scale power over that of real galaxies, mag < 22.5, 0.10 to 0.15″",
    "small-scale power over real, mag < 22.5, 0.15 to 0.22″":
        "0.15 to 0.22″",
    "small-scale power over real, mag < 22.5, 0.22 to 0.33″":
        "0.22 to 0.33″",
    "small-scale power over real, mag < 22.5, 0.33 to 0.50″":
        "0.33 to 0.50″",
    "small-scale power over real, fainter, 0.22 to 0.33″":
        "of fainter galaxies, 0.22 to 0.33″",
    "sources found per bright galaxy, HST resolution, over real":
        "sources found per bright galaxy at HST resolution, over real",
    "light at 2.5 to 3 half-light radii, over real":
        "light at 2.5 to 3 half-light radii, over real",
    "mean |g| over real, mag 20 to 22.5":
        r"mean \|g\| over real, mag 20 to 22.5",
    "mean |g| over real, mag 24.5 to 26":
        r"mean \|g\| over real, mag 24.5 to 26",
    "share with n > 2.5, minus real":
        "share of galaxies with a Sersic index above 2.5, minus real",
    "coverage, over that of real by real, over real":
        "coverage, over that of one half of the real galaxies by the other",
    "recall, over that of real by real, over real":
        "recall, over the same",
    "very smooth and very structured galaxies over real, smooth":
        "share of very smooth galaxies over real",
    "very smooth and very structured galaxies over real, structured":
        "share of very structured galaxies over real",
    "pairs alike beyond 0.9, over real":
        "share of pairs of galaxies whose structure is alike, over real",
    "classifier, generated against real, all, generated":
        "classifier, generated against real, all",
    "classifier, generated against real, mag < 22.5, generated":
        "classifier, mag < 22.5",
    "classifier, generated against real, faint COSMOS, generated":
        "classifier, faint galaxies of COSMOS",
}
"""Figures of the headline, at natural size: name on the card -> heading of the row."""
FURTHER = {
    "auc_parametric_all": "classifier, parametric fits against real, all",
    "shear_response_minus_real": "shear response, minus that of real galaxies",
    "class_chi_square_p": "classes of 20,000 galaxies against the prior: p of chi-square",
    "eta2_gini_generated": "variance of Gini explained by the class",
    "eta2_concentration_generated": "variance of the concentration explained by the class",
    "eta2_m20_generated": "variance of M20 explained by the class",
}
"""Further rows of the table: name of the figure on the card -> heading of the row."""
FIGURES = {f"{name} (unseen)": heading for name, heading in NATURAL_SIZE.items()} | FURTHER

Models = Sequence[galsim_deep.GenerativeGalaxyModel]


def picture(models: Models) -> np.ndarray:
    """Galaxies of each module for the same rows and seeds, uint8 [H, W, 3]."""
    images = []
    for model in models:
        table = columns(model.card)
        bright = np.flatnonzero(table[model.card.column_of("magnitude").name] < FAINTEST)
        rows = bright[np.linspace(0, len(bright) - 1, COUNT).astype(int)]
        images += pictures(model, {name: values[rows] for name, values in table.items()})
    return contact_sheet(images, COUNT)


def figures_of(card: Card) -> Mapping[str, float]:
    """The figures of a module for the held-out real galaxies."""
    if GALAXIES not in card.validation:
        raise ValueError(f"The card of {card.name} has no figures for {GALAXIES}; run "
                         "galsim-deep validate with --write-card.")
    return card.validation[GALAXIES]


def table_lines(models: Models) -> Iterator[str]:
    """Lines of a Markdown table with `FIGURES`, one column for each module."""
    yield "| | " + " | ".join(f"`{model.card.name}`" for model in models) + " |"
    yield "|---" * (1 + len(models)) + "|"
    for figure, heading in FIGURES.items():
        cells = [with_error(figures_of(model.card), figure) for model in models]
        yield f"| {heading} | " + " | ".join(cells) + " |"


def main() -> None:
    """Entry point."""
    folder = Path(__file__).parent / "_static"
    models = [galsim_deep.GenerativeGalaxyModel(f"hub:{name}") for name in MODULES]
    write_png(folder / "families.png", picture(models))
    (folder / "families.md").write_text("\n".join(table_lines(models)) + "\n", encoding="utf-8")
    print(folder / "families.png", folder / "families.md", sep="\n")


if __name__ == "__main__":
    main()
