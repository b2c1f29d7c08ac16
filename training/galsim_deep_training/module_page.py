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
    """Write ``README.md`` and its pictures into the folder of a module.

    These are ``samples.png`` and, for a module with classes, ``classes.png``.

    Parameters:
        module:     The `galsim_deep.module.Module`.
        dataset:    The `Dataset`, whose test split gives columns, PSFs and noise.
    """
    (module.folder / PAGE_PATH).write_text(render_page(module.card), encoding="utf-8")
    model, rows = GenerativeGalaxyModel(module.folder), _rows(module, dataset)
    write_png(module.folder / "samples.png", _samples(model, rows))
    if model.clusters:
        write_png(module.folder / "classes.png", _classes(model, rows))


def _rows(module, dataset):
    """Examples of the test split, from bright to faint."""
    columns = module.card.columns
    first = next((column.name for column in columns if column.unit == "mag"), columns[0].name)
    order = dataset.test_indices[np.argsort(dataset.columns[first][dataset.test_indices])]
    return dataset.read(order[np.linspace(0, len(order) - 1, COUNT).astype(int)])


def _stamps(model, rows, cluster=None):
    # The columns alone: a data set may tell of each example which class it is of.
    return model.images({name: rows[name] for name in model.columns}, seeds=np.arange(COUNT),
                        cluster=cluster)


def _samples(model, rows):
    """A contact sheet: profiles, and the same profiles observed."""
    stamps, observed = _stamps(model, rows), []
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


def _classes(model, rows):
    """A contact sheet: what each class makes of the same rows and random numbers."""
    return contact_sheet(
        [render(stamp, 2 * sigma) for cluster in model.clusters
         for stamp, sigma in zip(_stamps(model, rows, cluster), rows["noise_sigma"], strict=True)],
        COUNT)
