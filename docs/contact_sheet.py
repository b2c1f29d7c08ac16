"""Make docs/_static/contact_sheet.png: 40 samples of a module, from bright to faint.

    python docs/contact_sheet.py

The columns follow the COSMOS field (those of ``galsim-deep demo``) and are spread evenly in
magnitude.  No galaxy is selected by eye.  The picture shows the light profiles themselves, before
PSF and pixel and without noise, each on an arcsinh stretch up to its own peak.
"""

import argparse
from pathlib import Path

import galsim
import numpy as np

import galsim_deep
from galsim_deep.demo import catalogue
from galsim_deep.modules.card import Card
from galsim_deep.picture import contact_sheet, render, write_png

COUNT, PER_ROW = 40, 8
SIZE = 128
"""Pixels on a side of a picture."""
BRIGHTEST, FAINTEST = 20.0, 24.5
SEED = 40
SOFTENING = 0.005
"""Pixel value around which the stretch changes from linear to logarithmic: about twice the noise of
COSMOS in a pixel [e-/s]."""


def columns(card: Card) -> dict[str, np.ndarray]:
    """Rows of a COSMOS-like catalogue whose magnitudes are spread evenly.

    Parameters:
        card:       The card of the module, with a column for the magnitude.

    Returns:
        {name of the column: float64 [COUNT]}.
    """
    table = catalogue(card, 4000, galsim.BaseDeviate(SEED))
    drawn = table[next(c.name for c in card.columns if c.quantity == "magnitude")]
    order = np.argsort(drawn)
    magnitudes = np.linspace(BRIGHTEST, FAINTEST, COUNT)
    rows = order[np.searchsorted(drawn[order], magnitudes)]
    return {name: values[rows] for name, values in table.items()}


def pictures(model: galsim_deep.GenerativeGalaxyModel, table: dict[str, np.ndarray]
             ) -> list[np.ndarray]:
    """Pictures of the galaxies of a module in its first band.

    Parameters:
        model:      The module.
        table:      Its columns, {name: float64 [N]}.  Row number n has the seed n.

    Returns:
        a list of N pictures, uint8 [SIZE, SIZE, 3].
    """
    count = len(next(iter(table.values())))
    return [render(galaxy.drawImage(nx=SIZE, ny=SIZE, scale=model.pixel_scale,
                                    method="no_pixel").array, SOFTENING)
            for galaxy in model.sample(table, seeds=np.arange(count))]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Make a contact sheet of a module.")
    parser.add_argument("--module", default="hub:acs_flow_vae", help="the handle of the module")
    parser.add_argument("--output", type=Path, help="a PNG file",
                        default=Path(__file__).parent / "_static" / "contact_sheet.png")
    options = parser.parse_args()
    model = galsim_deep.GenerativeGalaxyModel(options.module)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_png(options.output, contact_sheet(pictures(model, columns(model.card)), PER_ROW))
    print(options.output)


if __name__ == "__main__":
    main()
