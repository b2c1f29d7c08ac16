"""Make docs/_static/contact_sheet.png: 40 samples of a module, from bright to faint.

    python docs/contact_sheet.py

The columns follow the COSMOS field (those of ``galsim-deep demo``) and are spread evenly in
magnitude; nothing is picked by eye. What is shown are the profiles themselves, before PSF and
pixel and without noise, each on a stretch of its own from the same softening to its own peak.
"""

import argparse
from pathlib import Path

import galsim
import numpy as np

import galsim_deep
from galsim_deep.demo import catalogue
from galsim_deep.picture import contact_sheet, render, write_png

COUNT, IN_A_ROW = 40, 8
BRIGHTEST, FAINTEST = 20.0, 24.5
SEED = 40
SOFTENING = 0.005  # about twice the noise in a pixel of COSMOS


def columns():
    """Rows of a COSMOS-like catalogue, one for each of `COUNT` magnitudes: a dict of [COUNT]."""
    table = catalogue(4000, galsim.BaseDeviate(SEED))
    order = np.argsort(table["mag_auto"])
    wanted = np.linspace(BRIGHTEST, FAINTEST, COUNT)
    rows = order[np.searchsorted(table["mag_auto"][order], wanted)]
    return {name: values[rows] for name, values in table.items()}


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description="Make a contact sheet of a module.")
    parser.add_argument("--module", default="hub:acs_flow_vae", help="its handle")
    parser.add_argument("--output", type=Path, help="a PNG file",
                        default=Path(__file__).parent / "_static" / "contact_sheet.png")
    options = parser.parse_args()
    model = galsim_deep.GenerativeGalaxyModel(options.module)
    stamps = model.images(columns(), seeds=np.arange(COUNT))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_png(options.output,
              contact_sheet([render(stamp, SOFTENING) for stamp in stamps], IN_A_ROW))
    print(options.output)


if __name__ == "__main__":
    main()
