"""The README of a module, with pictures of galaxies sampled for its test galaxies."""

__all__ = ["write_page"]

import galsim
import numpy as np

from galsim_deep import GenerativeGalaxyModel
from galsim_deep.modules.card import Card
from galsim_deep.modules.module import Module
from galsim_deep.modules.readme import README_PATH, render_readme, sort_column
from galsim_deep.observations.observation import Observation
from galsim_deep.observations.real_galaxies import open_real_galaxies
from galsim_deep.picture import contact_sheet, render, write_png

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


def _profiles(model: GenerativeGalaxyModel, observations: list[Observation],
              galaxy_class: str | None = None) -> list[galsim.GSObject]:
    """Galaxies for the columns of the observations."""
    table = {name: np.array([observation.columns[name] for observation in observations])
             for name in model.columns}
    return model.sample(table, seeds=np.arange(COUNT), galaxy_class=galaxy_class)


def _before_psf(profile: galsim.GSObject, observation: Observation) -> np.ndarray:
    """The light of a profile at the pixels of an observation."""
    height, width = observation.stamp.shape
    return profile.drawImage(nx=width, ny=height, scale=observation.pixel_scale,
                             method="no_pixel").array


def _samples(model: GenerativeGalaxyModel, observations: list[Observation]) -> np.ndarray:
    """A contact sheet: profiles, and the same profiles observed."""
    profiles = _profiles(model, observations)
    pairs = [*zip(profiles, observations, strict=True)]
    return contact_sheet(
        [render(_before_psf(profile, observation), 2 * observation.noise_sigma)
         for profile, observation in pairs]
        + [render(observation.drawn_like(
                      observation.convolved(profile), np.random.default_rng(seed)),
                  2 * observation.noise_sigma, floor=-observation.noise_sigma)
           for seed, (profile, observation) in enumerate(pairs)],
        COUNT)


def _classes(model: GenerativeGalaxyModel, observations: list[Observation]) -> np.ndarray:
    """A contact sheet: a row for each class, of the same columns and random numbers."""
    return contact_sheet(
        [render(_before_psf(profile, observation), 2 * observation.noise_sigma)
         for galaxy_class in model.classes
         for profile, observation in zip(
             _profiles(model, observations, galaxy_class), observations, strict=True)],
        COUNT)
