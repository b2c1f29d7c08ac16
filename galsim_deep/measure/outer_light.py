"""The light of a galaxy far out, in circles about its centre.

The shares are those of the curve of growth, in units of the radius that holds half of the light;
like the concentration of Conselice (2003, arXiv:astro-ph/0303065) they tell profiles with wings
from profiles that end.
"""

__all__ = ["outer_light"]

import numpy as np

from ..observations.observation import Observation
from .structure import distances_from_centre

RING = (2.5, 3.0)
"""The ring that is measured [half-light radii]."""
WINGS = 4.0
"""Light beyond this radius [half-light radii] is measured."""
NEEDED = 5.0
"""Extent that is needed to measure the light beyond `WINGS` [half-light radii]."""


def outer_light(stamp: np.ndarray, observation: Observation) -> dict[str, float]:
    """The shares of the light in a ring and far out.

    The whole light is that within the extent of the observation; nothing is known of what lies
    beyond.  Pixels that are not usable are those that were filled in.

    Parameters:
        stamp:          As observed, shape [S, S].
        observation:    The `Observation`, with the position and extent of the galaxy.

    Returns:
        a dict of ``half_light`` [pixels], ``ring`` (between 2.5 and 3 half-light radii) and
        ``wings`` (beyond 4); NaN for what reaches beyond the extent, and for a galaxy without
        light.

    Example, for an exponential disc:

        >>> import galsim
        >>> disc = galsim.Exponential(half_light_radius=6.0).drawImage(nx=97, ny=97, scale=1.0)
        >>> observation = Observation(number=0, stamp=disc.array, psf=np.ones((1, 1)), extent=40.0,
        ...                           pixel_scale=1.0, noise_sigma=1e-3, columns={})
        >>> {name: round(value, 2) for name, value in outer_light(disc.array, observation).items()}
        {'half_light': 6.02, 'ring': 0.04, 'wings': 0.01}
    """
    unknown = dict.fromkeys(("half_light", "ring", "wings"), np.nan)
    distance = distances_from_centre(observation)
    extent = observation.extent or 0.375 * min(stamp.shape)

    def within(radius: float) -> float:
        """The flux within a circle; pixels on it are counted in part."""
        return float((stamp * np.clip(radius - distance + 0.5, 0, 1)).sum())

    total = within(extent)
    if not (np.isfinite(stamp).all() and total > 0):
        return unknown
    low, high = 0.0, extent
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if within(middle) < 0.5 * total else (low, middle)
    half = 0.5 * (low + high)
    result = dict(unknown, half_light=half)
    if RING[1] * half <= extent:
        result["ring"] = (within(RING[1] * half) - within(RING[0] * half)) / total
    if NEEDED * half <= extent:
        result["wings"] = 1 - within(WINGS * half) / total
    return result
