"""The generated galaxies of a validation: one for the columns of each real galaxy."""

__all__ = ["BLOCK", "generate", "generator_inputs"]

from collections.abc import Sequence

import numpy as np
from galsim import GalSimError
from numpy.typing import NDArray

from .. import latents
from ..modules.card import Card
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


def generate(galaxies: RealGalaxies, module: Module, streams: RandomStreams,
             numbers: Sequence[int] | np.ndarray, galaxy_class: int = -1
             ) -> tuple[np.ndarray, np.ndarray | None]:
    """Generate galaxies for the columns of real ones.

    Unlike `GenerativeGalaxyModel`, this does not raise an error if a stamp is not finite; the
    report counts such stamps.

    Parameters:
        galaxies, module, streams, numbers:     Those of `generator_inputs`.
        galaxy_class:   The class of all of them, for a module with classes.  [default: -1, it is
                        drawn]

    Returns:
        (images, classes): float32 [n, S, S] in the flux unit of the module; and the class of each,
        int [n], or None for a module without classes.

    Raises:
        galsim.GalSimError: if a class is not on the card of the module, or galaxies have another
            pixel scale than that of the card.
    """
    columns, normal = generator_inputs(galaxies, module, streams, numbers)
    if not module.card.classes:
        outputs = module.sample(columns, normal)
        _check_pixel_scale(outputs, module.card)
        return outputs["image"][..., 0], None
    wanted = np.full(len(normal), galaxy_class, np.int32)
    outputs = module.sample(columns, normal, wanted)
    _check_pixel_scale(outputs, module.card)
    return outputs["image"][..., 0], outputs["galaxy_class"].astype(int)


def _check_pixel_scale(outputs: dict[str, np.ndarray], card: Card) -> None:
    """Raise if a galaxy has a scale of its own: stamps are compared on the pixels of the card."""
    scales = outputs.get("pixel_scale")
    if scales is not None and not np.allclose(scales, card.pixel_scale, rtol=1e-5, atol=0):
        raise GalSimError(f"The module {card.name} gives galaxies pixel scales from "
                          f"{scales.min():g} to {scales.max():g} arcsec. A validation needs the "
                          f"scale of its card, {card.pixel_scale:g} arcsec, for all galaxies.")
