"""The page of a module for people, with sample pictures of its test galaxies."""

__all__ = ["write_page"]

import galsim
import numpy as np

from galsim_deep import GenerativeGalaxyModel
from galsim_deep.page import PAGE_PATH, render_page
from galsim_deep.picture import contact_sheet, render, write_png
from galsim_deep.profiles import make_profile

COUNT = 10
def write_page(module, dataset):
    """Write ``README.md`` and ``samples.png`` into the folder of a module.

    Parameters:
        module:     The `galsim_deep.module.Module`.
        dataset:    The `Dataset`, whose test split gives columns, PSFs and noise.
    """
    (module.folder / PAGE_PATH).write_text(render_page(module.card), encoding="utf-8")
    write_png(module.folder / "samples.png", _samples(module, dataset))


def _samples(module, dataset):
    """A contact sheet: profiles, and the same profiles observed."""
    columns = module.card.columns
    first = next((column.name for column in columns if column.unit == "mag"), columns[0].name)
    order = dataset.test_indices[np.argsort(dataset.columns[first][dataset.test_indices])]
    rows = dataset.read(order[np.linspace(0, len(order) - 1, COUNT).astype(int)])
    model = GenerativeGalaxyModel(module.folder)
    stamps = model.images(rows, seeds=np.arange(COUNT))
    observed = []
    for n, stamp in enumerate(stamps):
        galaxy = make_profile(stamp, model.pixel_scale)
        psf = make_profile(rows["psf"][n], model.pixel_scale)
        image = galsim.Convolve(galaxy, psf).drawImage(
            nx=model.stamp_size, ny=model.stamp_size, scale=model.pixel_scale, method="no_pixel")
        image.addNoise(galsim.GaussianNoise(galsim.BaseDeviate(n + 1), rows["noise_sigma"][n]))
        observed.append(image.array)
    sigma = rows["noise_sigma"]
    return contact_sheet(
        [render(stamp, 2 * s) for stamp, s in zip(stamps, sigma, strict=True)]
        + [render(image, 2 * s, floor=-s) for image, s in zip(observed, sigma, strict=True)],
        COUNT)
