"""Make the figures of docs/mpcc.md: what both families make of the same rows, and their numbers.

    python docs/families.py

Writes ``_static/families.png``, a row of samples for each module as in `contact_sheet.py`, and
``_static/families.md``, a table of what ``galsim-deep validate`` has written into their cards.
"""

from pathlib import Path

import numpy as np
from contact_sheet import SOFTENING, columns

import galsim_deep
from galsim_deep.page import with_error
from galsim_deep.picture import contact_sheet, render, write_png

MODULES = ["acs_flow_vae", "acs_mpcc"]
COUNT, BRIGHTEST = 12, 23.5
"""Galaxies in a row, and down to which magnitude: fainter ones are small and alike."""
SURVEYS = {
    "new_training (test)": "training sources, seen anew",
    "new_held-out (test)": "held-out sources",
    "cosmos_f814w_50": "COSMOS, 50 galaxies",
}
"""What the cards call the samples of real galaxies, and what they are."""
FIGURES = {
    "mean abs(g), generated over real": "mean_g_over_real",
    "the same, brighter than 23": "mean_g_over_real_bright",
    "determinant radius, generated over real": "mean_size_over_real",
    "told from real galaxies (AUC; 0.5 is not at all)": "auc_all",
    "told from real galaxies brighter than 23": "auc_bright",
    "parametric fits told from real galaxies (AUC)": "auc_parametric_all",
    "reconstruction: chi square a pixel": "chi2_reconstructed_all",
    "peak, generated over true": "peak_over_truth",
    "power at 0.10 to 0.15 arcsec, generated over true": "power_over_truth_0.10_0.15_arcsec",
    "power at 0.15 to 0.22 arcsec": "power_over_truth_0.15_0.22_arcsec",
    "power at 0.22 to 0.33 arcsec": "power_over_truth_0.22_0.33_arcsec",
    "power at 0.33 to 0.50 arcsec": "power_over_truth_0.33_0.50_arcsec",
    "variance of Gini explained by the class found, generated": "eta2_gini_generated_found",
    "variance of Gini explained, real": "eta2_gini_real",
    "variance of the concentration explained, generated": "eta2_concentration_generated_found",
    "variance of the concentration explained, real": "eta2_concentration_real",
    "variance of M20 explained, generated": "eta2_m20_generated_found",
    "variance of M20 explained, real": "eta2_m20_real",
    "classes of 20,000 draws against the prior: chi-square p": "class_chi_square_p",
    "class found again in what was generated": "class_recovered",
}


def picture(models):
    """Samples of each module for the same rows and seeds, a row each."""
    table = columns()
    shown = np.flatnonzero(table["mag_auto"] < BRIGHTEST)
    shown = shown[np.linspace(0, len(shown) - 1, COUNT).astype(int)]
    table = {name: values[shown] for name, values in table.items()}
    return contact_sheet(
        [render(stamp, SOFTENING) for model in models
         for stamp in model.images(table, seeds=np.arange(COUNT))], COUNT)


def table(models):
    """Lines of a table in Markdown: figures of the cards, for each of `SURVEYS`."""
    heads = [f"{what}: `{model.card.name}`" for what in SURVEYS.values() for model in models]
    yield "| | " + " | ".join(heads) + " |"
    yield "|---" * (1 + len(heads)) + "|"
    for what, name in FIGURES.items():
        cells = [with_error(model.card.quality[survey], name)
                 for survey in SURVEYS for model in models]
        yield f"| {what} | " + " | ".join(cells) + " |"


def main():
    """Entry point."""
    folder = Path(__file__).parent / "_static"
    models = [galsim_deep.GenerativeGalaxyModel(f"hub:{name}") for name in MODULES]
    write_png(folder / "families.png", picture(models))
    (folder / "families.md").write_text("\n".join(table(models)) + "\n")
    print(folder / "families.png", folder / "families.md", sep="\n")


if __name__ == "__main__":
    main()
