"""The README of a module, with pictures of galaxies sampled for its test galaxies."""

__all__ = ["write_page"]

import numpy as np

from galsim_deep import GenerativeGalaxyModel
from galsim_deep.modules.card import Card
from galsim_deep.modules.module import Module
from galsim_deep.modules.readme import README_PATH, render_readme, sort_column
from galsim_deep.observations.observation import Observation
from galsim_deep.observations.real_galaxies import open_real_galaxies
from galsim_deep.picture import contact_sheet, render, write_png
from galsim_deep.profiles.make import make_profile

from ..data.dataset import Dataset

COUNT = 10
"""Galaxies in a row of a picture."""


def write_page(module: Module, dataset: Dataset) -> None:
    """Write ``README.md``, and for a generator its pictures, into the folder of a module.

    These are ``samples.png`` and, for a module with classes, ``classes.png``.

    Parameters:
        module:     The module.
        dataset:    The data set, whose test split gives columns, PSFs and noise.
    """
    (module.folder / README_PATH).write_text(render_readme(module.card), encoding="utf-8")
    if module.card.kind != "generator":
        return
    model = GenerativeGalaxyModel(module.folder)
    observations = _observations(module.card, dataset)
    write_png(module.folder / "samples.png", _samples(model, observations))
    if model.classes:
        write_png(module.folder / "classes.png", _classes(model, observations))


def _observations(card: Card, dataset: Dataset) -> list[Observation]:
    """Test galaxies as they were observed, from bright to faint.

    Only those within the valid ranges of the card, if there are any.
    """
    galaxies = open_real_galaxies(dataset.path, card)
    name, brightest_first = sort_column(card)
    order = np.argsort(galaxies.columns[name] if brightest_first else -galaxies.columns[name],
                       kind="stable")
    valid = np.ones(len(galaxies), bool)
    for column in card.columns:
        low, high = column.valid_range
        valid &= (low <= galaxies.columns[column.name]) & (galaxies.columns[column.name] <= high)
    if valid.any():
        order = order[valid[order]]
    return [galaxies.observation(int(row))
            for row in order[np.linspace(0, len(order) - 1, COUNT).astype(int)]]


def _stamps(model: GenerativeGalaxyModel, observations: list[Observation],
            galaxy_class: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Light profiles for the columns of the observations.

    Returns:
        stamps [COUNT, S, S], and the sizes of their pixels [COUNT] [arcsec].
    """
    table = {name: np.array([observation.columns[name] for observation in observations])
             for name in model.columns}
    outputs = model.outputs(table, seeds=np.arange(COUNT), galaxy_class=galaxy_class)
    scales = outputs.get("pixel_scale", np.full(COUNT, model.pixel_scale))
    return outputs["image"][..., 0], scales


def _samples(model: GenerativeGalaxyModel, observations: list[Observation]) -> np.ndarray:
    """A contact sheet: profiles, and the same profiles observed."""
    stamps, scales = _stamps(model, observations)
    observed = [
        observation.drawn_like(observation.convolved(make_profile(stamp, float(scale))),
                               np.random.default_rng(seed))
        for seed, (observation, stamp, scale) in enumerate(
            zip(observations, stamps, scales, strict=True))]
    sigma = [observation.noise_sigma for observation in observations]
    return contact_sheet(
        [render(stamp, 2 * s) for stamp, s in zip(stamps, sigma, strict=True)]
        + [render(image, 2 * s, floor=-s) for image, s in zip(observed, sigma, strict=True)],
        COUNT)


def _classes(model: GenerativeGalaxyModel, observations: list[Observation]) -> np.ndarray:
    """A contact sheet: a row for each class, of the same columns and random numbers."""
    return contact_sheet(
        [render(stamp, 2 * observation.noise_sigma) for galaxy_class in model.classes
         for stamp, observation in zip(
             _stamps(model, observations, galaxy_class)[0], observations, strict=True)],
        COUNT)
