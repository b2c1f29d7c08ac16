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
SETS = {
    "new_training (test)": "training sources, new stamps",
    "new_held-out (test)": "held-out sources",
    "cosmos_f814w_50": "COSMOS, 50 galaxies",
}
"""Sets of real galaxies: name on the card, without the version of the module that may follow it ->
heading of the table."""
FIGURES = {
    "mean_g_over_real": "mean abs(g), generated over real",
    "mean_g_over_real_bright": "the same, brighter than 23",
    "mean_size_over_real": "determinant radius, generated over real",
    "auc_all": "classifier, generated against real (AUC; 0.5: not distinguishable)",
    "auc_bright": "the same, brighter than 23",
    "auc_parametric_all": "classifier, parametric fits against real (AUC)",
    "chi2_reconstructed_all": "chi-square per pixel of reconstructions",
    "peak_over_truth": "peak, generated over true",
    "power_over_truth_0.10_0.15_arcsec": "power at 0.10 to 0.15 arcsec, generated over true",
    "power_over_truth_0.15_0.22_arcsec": "power at 0.15 to 0.22 arcsec",
    "power_over_truth_0.22_0.33_arcsec": "power at 0.22 to 0.33 arcsec",
    "power_over_truth_0.33_0.50_arcsec": "power at 0.33 to 0.50 arcsec",
    "eta2_gini_generated_found": "variance of Gini explained by the class found, generated",
    "eta2_gini_real": "variance of Gini explained, real",
    "eta2_concentration_generated_found": "variance of the concentration explained, generated",
    "eta2_concentration_real": "variance of the concentration explained, real",
    "eta2_m20_generated_found": "variance of M20 explained, generated",
    "eta2_m20_real": "variance of M20 explained, real",
    "class_chi_square_p": "classes of 20,000 galaxies against the prior: p of chi-square",
    "class_recovered": "fraction of generated galaxies whose class the encoder recovers",
}
"""Rows of the table: name of the figure on the card -> heading of the row."""

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


def figures_of(card: Card, galaxies: str) -> Mapping[str, float]:
    """The figures for a set of real galaxies, the latest if several versions were compared."""
    sets = [figures for name, figures in card.validation.items()
            if name.split(", module ")[0] == galaxies]
    if not sets:
        raise ValueError(f"The card of {card.name} has no figures for {galaxies}.")
    return sets[-1]


def table_lines(models: Models) -> Iterator[str]:
    """Lines of a Markdown table with `FIGURES`, one column for each of `SETS` and each module."""
    heads = [f"{heading}: `{model.card.name}`" for heading in SETS.values() for model in models]
    yield "| | " + " | ".join(heads) + " |"
    yield "|---" * (1 + len(heads)) + "|"
    for figure, heading in FIGURES.items():
        cells = [with_error(figures_of(model.card, name), figure)
                 for name in SETS for model in models]
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
