"""The structure of a galaxy in its own plane: what a smooth fit leaves over, in polar coordinates.

The map does not depend on size, flux, inclination or position angle, and a rotation of the galaxy
shifts it.  So it shows whether two galaxies have the same arms, knots and bars.
"""

__all__ = ["RADII", "ANGLES", "StructureMap", "largest_correlations", "structure_map"]

import dataclasses

import numpy as np
from scipy import fft, ndimage

from ..observations.observation import Observation
from .parametric import ParametricFit

RADII = np.geomspace(0.35, 2.5, 12)
"""Radii of the map [half-light radii]."""
ANGLES = 36
"""Number of position angles of the map."""
SMOOTHING = 0.15
"""Standard deviation of the Gaussian that smooths the residual [half-light radii]."""
SMALLEST = 4.0
"""Smallest half-light radius of a galaxy that has a map [pixels]."""


@dataclasses.dataclass(frozen=True)
class StructureMap:
    """The structure of a galaxy.

    Attributes:
        values:         Float64 [R, A]: residual, with its mean over the map taken off, divided by
                        its norm.
        noise_share:    Norm that the noise is expected to have in it.

    Example, of a galaxy with one arm:

        >>> values = np.cos(2 * np.pi * np.arange(ANGLES) / ANGLES) * np.ones((len(RADII), 1))
        >>> arm = StructureMap(values / np.sqrt((values**2).sum()), noise_share=0.1)
        >>> largest_correlations(arm.values[None]).round(6)
        array([[1.]])
    """

    values: np.ndarray
    noise_share: float


def structure_map(stamp: np.ndarray, fit: ParametricFit, observation: Observation
                  ) -> StructureMap | None:
    """The map of what a Sersic fit leaves over.

    Parameters:
        stamp:          As observed, shape [S, S].
        fit:            The Sersic fit to it.
        observation:    The `Observation` with the noise of the stamp.

    Returns:
        the `StructureMap`; None if the fit failed or the galaxy is too small.
    """
    if not fit.success or not fit.components:
        return None
    component = fit.components[0]
    radius = component.half_light_radius / observation.pixel_scale
    if not SMALLEST <= radius <= 0.5 * min(stamp.shape):
        return None
    width = SMOOTHING * radius
    residual = ndimage.gaussian_filter(stamp - fit.stamp, width, mode="constant")
    # Radii are those along the ellipses of the fit; sqrt(q) keeps their area.
    stretch = np.sqrt(max(component.q, 0.2))
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    along = radius / stretch * RADII[:, None] * np.cos(angle)
    across = radius * stretch * RADII[:, None] * np.sin(angle)
    cosine, sine = np.cos(component.angle), np.sin(component.angle)
    middle = [0.5 * (n - 1) + shift / observation.pixel_scale
              for n, shift in zip(stamp.shape, fit.centre[::-1], strict=True)]
    points = [middle[0] + sine * along + cosine * across,
              middle[1] + cosine * along - sine * across]
    # Weighted with the area of the rings, so that equal light counts alike.
    weights = RADII[:, None] / np.sqrt((RADII**2).mean())
    values = weights * ndimage.map_coordinates(residual, points, order=1, mode="constant")
    values = values - values.mean()
    norm = float(np.sqrt((values**2).sum()))
    if not norm > 0:
        return None
    reach = int(np.ceil(4 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width)**2)
    kernel /= kernel.sum()
    sigma = observation.smoothed_sigma(np.outer(kernel, kernel))
    return StructureMap(values / norm, sigma * np.sqrt(values.size) / norm)


def largest_correlations(maps: np.ndarray) -> np.ndarray:
    """The correlation of every pair of maps, however one is rotated or mirrored.

    Parameters:
        maps:   Of unit norm, shape [N, R, A].

    Returns:
        float64 [N, N]: the largest over all rotations and reflections; 1 on the diagonal.

    Example:

        >>> rng = np.random.default_rng(1)
        >>> first, other = rng.normal(size=(2, 12, 36))
        >>> maps = np.stack([first, np.roll(first[:, ::-1], 5, axis=1), other])
        >>> maps /= np.sqrt((maps**2).sum((1, 2), keepdims=True))
        >>> (largest_correlations(maps)[0] > 0.5).tolist()
        [True, True, False]
    """
    spectra = fft.rfft(maps, axis=2)
    mirrored = fft.rfft(maps[:, :, ::-1], axis=2)
    result = np.empty((len(maps), len(maps)))
    for number, spectrum in enumerate(spectra):
        both = [fft.irfft((spectrum.conj() * others).sum(axis=1), maps.shape[2], axis=1).max(axis=1)
                for others in (spectra, mirrored)]
        result[number] = np.maximum(*both)
    return result
