"""The pixels that belong to a galaxy: one definition for all samples and statistics.

The stamp is correlated with its own PSF, which is the matched filter for a point source.  Pixels
above `THRESHOLD` times the noise of the smoothed stamp form connected regions.  That noise is
calculated from the known noise and not estimated from the stamp, so that a galaxy that fills the
stamp is treated like any other.  The galaxy is the brightest region that reaches into the central
quarter of the stamp, has at least `SMALLEST` pixels and a peak of at least `DETECTION` times the
noise; fainter regions may be only noise.  Other regions with such a peak are neighbours and are
masked.
"""

__all__ = ["DETECTION", "SMALLEST", "THRESHOLD", "Segmentation", "segment"]

import dataclasses

import numpy as np
from scipy import ndimage, signal

from ..observations.observation import Observation

THRESHOLD = 1.5
"""Lowest value of a pixel of a region [standard deviations of the noise of the smoothed stamp]."""
DETECTION = 5.0
"""Lowest peak of a detected region, in the same unit."""
SMALLEST = 9
"""Fewest pixels of the galaxy's region."""


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """The pixels of a galaxy and of its neighbours.

    Attributes:
        galaxy:         Pixels of the galaxy, bool [S, S].
        neighbours:     Pixels of its neighbours, bool [S, S].
        centroid:       Centroid of the galaxy's light, (x, y) [pixels] from the first pixel.
        truncated:      Whether the galaxy reaches the edge of the stamp or of its footprint.
        off_centre:     Whether the centroid lies outside of the central quarter of the stamp.

    Example:

        >>> psf = galsim.Gaussian(sigma=2.0).drawImage(nx=17, ny=17, scale=1.0, dtype=float).array
        >>> stamp = np.pad(psf, 8)
        >>> region = segment(stamp, Observation(
        ...     number=0, stamp=stamp, psf=psf, pixel_scale=1.0, noise_sigma=1e-4, columns={}))
        >>> [round(position) for position in region.centroid], region.off_centre
        ([16, 16], False)
    """

    galaxy: np.ndarray
    neighbours: np.ndarray
    centroid: tuple[float, float]
    truncated: bool
    off_centre: bool


def segment(stamp: np.ndarray, observation: Observation) -> Segmentation | None:
    """Find the galaxy in a stamp.

    Parameters:
        stamp:          As observed, finite, shape [S, S].
        observation:    The `Observation` with the PSF, noise and footprint of the stamp.

    Returns:
        a `Segmentation`, or None if no galaxy is detected.
    """
    smooth = signal.fftconvolve(stamp, observation.psf[::-1, ::-1], mode="same")
    sigma = observation.smoothed_sigma(observation.psf)
    regions, count = ndimage.label(smooth > THRESHOLD * sigma)
    if count == 0:
        return None
    numbers = np.arange(1, count + 1)
    area = ndimage.sum_labels(np.ones_like(stamp), regions, numbers)
    light = ndimage.sum_labels(smooth, regions, numbers)
    central = np.isin(numbers, np.unique(regions[_central_quarter(stamp.shape)]))
    peak = ndimage.maximum(smooth, regions, numbers)
    detected = peak > DETECTION * sigma
    eligible = central & detected & (area >= SMALLEST)
    if not eligible.any():
        return None
    chosen = numbers[eligible][np.argmax(light[eligible])]
    galaxy = regions == chosen
    others = numbers[detected & (numbers != chosen)]
    weights = np.where(galaxy, smooth, 0.0)
    y, x = np.indices(stamp.shape)
    x0, y0 = (x * weights).sum() / weights.sum(), (y * weights).sum() / weights.sum()
    row, column = _central_quarter(stamp.shape)
    inside = (row.start - 0.5 <= y0 <= row.stop - 0.5
              and column.start - 0.5 <= x0 <= column.stop - 0.5)
    observed = np.ones(stamp.shape, bool) if observation.footprint is None else (
        observation.footprint)
    edge = galaxy & ~ndimage.binary_erosion(observed)
    return Segmentation(galaxy=galaxy, neighbours=np.isin(regions, others),
                        centroid=(float(x0), float(y0)), truncated=bool(edge.any()),
                        off_centre=not inside)


def _central_quarter(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The central quarter of the area of a stamp, as slices of rows and columns."""
    return tuple(slice(n // 4, n - n // 4) for n in shape)
