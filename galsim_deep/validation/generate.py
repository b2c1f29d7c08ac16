"""The generated galaxies of a validation: one for the columns of each real galaxy."""

__all__ = ["BLOCK", "Generated", "generate", "generator_inputs"]

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import latents
from ..modules.module import Module
from ..observations.real_galaxies import RealGalaxies
from .random_streams import RandomStreams

BLOCK = 48
"""Galaxies that are generated and encoded at once."""


def generator_inputs(galaxies: RealGalaxies, module: Module, streams: RandomStreams,
                     numbers: Sequence[int] | np.ndarray
                     ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """The columns and random numbers of generated galaxies.

    Parameters:
        galaxies:   The real galaxies.
        module:     The module.
        streams:    The random numbers of the validation.
        numbers:    Indices of n galaxies among the real galaxies.

    Returns:
        (columns, normal): {name: float32 [n]}, and standard normal numbers, float32 [n, L].
    """
    indices = np.asarray(numbers, int)
    columns = {name: values[indices].astype(np.float32)
               for name, values in galaxies.columns.items()}
    keys = latents.keys_from_seeds(streams.galaxy_seeds(indices))
    return columns, latents.draw_latents(keys, module.card.latent_size)


@dataclasses.dataclass(frozen=True)
class Generated:
    """Galaxies of a module.

    Attributes:
        images:         Light before PSF and pixel in the flux unit of the module, n arrays of
                        float32 [S, S].
        pixel_scales:   Size of a pixel of each [arcsec], float64 [n].
        classes:        The class of each, int [n]; None for a module without classes.

    Example:

        >>> Generated([np.ones((8, 8), np.float32)], np.array([0.03]), None).images[0].shape
        (8, 8)
    """

    images: list[NDArray[np.float32]]
    pixel_scales: np.ndarray
    classes: np.ndarray | None


def generate(galaxies: RealGalaxies, module: Module, streams: RandomStreams,
             numbers: Sequence[int] | np.ndarray, galaxy_class: int = -1) -> Generated:
    """Generate galaxies for the columns of real ones.

    Unlike `GenerativeGalaxyModel`, this does not raise an error if a stamp is not finite; the
    report counts such stamps.

    Parameters:
        galaxies, module, streams, numbers:     Those of `generator_inputs`.
        galaxy_class:   The class of all of them, for a module with classes.  [default: -1, it is
                        drawn]

    Returns:
        the `Generated` galaxies.

    Raises:
        galsim.GalSimError: if a class is not on the card of the module.
    """
    columns, normal = generator_inputs(galaxies, module, streams, numbers)
    wanted = np.full(len(normal), galaxy_class, np.int32) if module.card.classes else None
    images: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(normal)
    scales = np.full(len(normal), module.card.pixel_scale)
    classes = np.zeros(len(normal), int)
    for rows, outputs in module.draw(columns, normal, wanted):
        for row, image in zip(rows, outputs["image"][..., 0], strict=True):
            images[row] = image
        scales[rows] = outputs.get("pixel_scale", module.card.pixel_scale)
        classes[rows] = outputs.get("galaxy_class", -1)
    return Generated(images=images, pixel_scales=scales,
                     classes=classes if module.card.classes else None)
