"""Two models of disjoint halves of the training galaxies: do they make the same galaxies?

A model that has learned the distribution makes nearly the same galaxy from the same random numbers,
whichever galaxies it was trained on; one that repeats its training galaxies does not (Kadkhodaie et
al. 2024, arXiv:2310.02557, for diffusion models).  For models whose latents are learned the
comparison is one-sided: if the galaxies are alike, both have learned the same; if they are not,
the latents may only be arranged differently.
"""

__all__ = ["compare_halves"]

from collections.abc import Mapping
from typing import Any

import numpy as np
from galsim import GalSimError

from .. import latents
from ..measure.parametric import fit_sersic
from ..measure.structure_map import largest_correlations, structure_map
from ..modules.module import Module
from ..observations.observation import Observation


def compare_halves(first: Module, second: Module, columns: Mapping[str, np.ndarray], seed: int = 1
                   ) -> dict[str, Any]:
    """Compare the galaxies that two modules make from the same columns and random numbers.

    Parameters:
        first, second:  The modules, trained on disjoint halves.
        columns:        {column: [N]}, the same for both.
        seed:           Seed of the random numbers.

    Returns:
        a dict of ``n``; ``images``, the median correlation of the images of the same row, and
        ``images_others``, of neighbouring rows; ``structure``, the median correlation of what the
        best Sersic profiles leave over, however one is rotated or mirrored
        (`measure.structure_map`), ``structure_others``, and ``n_structure``.  The models agree as
        far as the numbers exceed those of other rows.

    Raises:
        galsim.GalSimError: if the modules have different columns, latents or stamps.
    """
    cards = first.card, second.card
    if len({(tuple(column.name for column in card.columns), card.latent_size, card.pixel_scale)
            for card in cards}) > 1:
        raise GalSimError(f"The modules {cards[0].name} and {cards[1].name} have different "
                          "columns, latents or pixels. Compare two fits of one recipe.")
    count = len(next(iter(columns.values())))
    normal = latents.draw_latents(
        latents.keys_from_seeds([(seed << 32) + n for n in range(count)]), cards[0].latent_size)
    rows = {name: np.asarray(values, np.float32) for name, values in columns.items()}
    images = [module.sample(rows, normal)["image"][..., 0].astype(float)
              for module in (first, second)]
    if images[0].shape != images[1].shape:
        raise GalSimError(f"The stamps of the modules {cards[0].name} and {cards[1].name} have "
                          "different sizes. Compare two fits of one recipe.")
    correlation = np.array([[_correlation(a, b) for b in (images[1][n], images[1][n - 1])]
                            for n, a in enumerate(images[0])])
    pairs = [(a, b) for a, b in zip(*([_map(image, cards[0].pixel_scale) for image in of_module]
                                      for of_module in images), strict=True)
             if a is not None and b is not None]
    result: dict[str, Any] = dict(
        n=count, images=float(np.median(correlation[:, 0])),
        images_others=float(np.median(correlation[:, 1])), n_structure=len(pairs))
    same, others = np.array([]), np.array([])
    if len(pairs) > 1:
        stacked = np.concatenate([np.stack(of_module) for of_module in zip(*pairs, strict=True)])
        between = largest_correlations(stacked)[:len(pairs), len(pairs):]
        same, others = np.diag(between), between[~np.eye(len(pairs), dtype=bool)]
    return result | dict(structure=float(np.median(same)) if len(same) else np.nan,
                         structure_others=float(np.median(others)) if len(others) else np.nan)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """The normalised product of two images."""
    norm = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norm) if norm > 0 else np.nan


def _map(image: np.ndarray, pixel_scale: float) -> np.ndarray | None:
    """The structure of a galaxy without noise; None if it has none that can be measured."""
    fit = fit_sersic(image, pixel_scale)
    nothing = Observation(number=0, stamp=image, psf=np.ones((1, 1)), pixel_scale=pixel_scale,
                          noise_sigma=1.0, columns={})
    structure = structure_map(image, fit, nothing)
    return None if structure is None else structure.values
