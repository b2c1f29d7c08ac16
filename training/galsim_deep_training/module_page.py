"""The page of a module for people, with sample pictures of its test galaxies."""

__all__ = ["write_page"]

import numpy as np

from galsim_deep import GenerativeGalaxyModel
from galsim_deep.page import PAGE_PATH, render_page, sorted_by
from galsim_deep.picture import contact_sheet, render, write_png
from galsim_deep.profiles import make_profile
from galsim_deep.validation.survey import open_survey

COUNT = 10


def write_page(module, dataset):
    """Write ``README.md`` and its pictures into the folder of a module.

    These are ``samples.png`` and, for a module with classes, ``classes.png``.

    Parameters:
        module:     The `galsim_deep.module.Module`.
        dataset:    The `Dataset`, whose test split gives columns, PSFs and noise.
    """
    (module.folder / PAGE_PATH).write_text(render_page(module.card), encoding="utf-8")
    model = GenerativeGalaxyModel(module.folder)
    seen = _observations(module.card, dataset)
    write_png(module.folder / "samples.png", _samples(model, seen))
    if model.clusters:
        write_png(module.folder / "classes.png", _classes(model, seen))


def _observations(card, dataset):
    """Test galaxies as they were observed, from bright to faint."""
    survey, (name, brightest_first) = open_survey(dataset.path, card), sorted_by(card)
    order = np.argsort(survey.columns[name] if brightest_first else -survey.columns[name],
                       kind="stable")
    return [survey.observation(int(number))
            for number in order[np.linspace(0, len(order) - 1, COUNT).astype(int)]]


def _stamps(model, seen, cluster=None):
    table = {name: np.array([one.columns[name] for one in seen]) for name in model.columns}
    return model.images(table, seeds=np.arange(COUNT), cluster=cluster)


def _samples(model, seen):
    """A contact sheet: profiles, and the same profiles observed."""
    stamps = _stamps(model, seen)
    observed = [
        one.drawn_like(one.convolved(make_profile(stamp, model.pixel_scale)),
                       np.random.default_rng(number))
        for number, (one, stamp) in enumerate(zip(seen, stamps, strict=True))]
    sigma = [one.noise_sigma for one in seen]
    return contact_sheet(
        [render(stamp, 2 * s) for stamp, s in zip(stamps, sigma, strict=True)]
        + [render(image, 2 * s, floor=-s) for image, s in zip(observed, sigma, strict=True)],
        COUNT)


def _classes(model, seen):
    """A contact sheet: what each class makes of the same rows and random numbers."""
    return contact_sheet(
        [render(stamp, 2 * one.noise_sigma) for cluster in model.clusters
         for stamp, one in zip(_stamps(model, seen, cluster), seen, strict=True)],
        COUNT)
