"""Which pixels belong to the galaxy: one definition, shared by all samples and statistics.

The stamp is correlated with its own PSF, the matched filter for a point source.  Pixels above
`THRESHOLD` times the noise of the smoothed stamp (known, not estimated from the stamp, so that a
galaxy that fills it is treated alike) form connected regions.  The galaxy is the region with the
most light of those that reach into the central quarter of the stamp and whose peak stands out by
`DETECTION` times the noise: below that, noise alone makes regions.  Other regions with such a peak
are neighbours and masked.
"""

__all__ = ["Segmentation", "segment"]

import dataclasses

import numpy as np
from scipy import ndimage, signal

THRESHOLD = 1.5
DETECTION = 5.0
SMALLEST = 9
"""A region of fewer pixels is not a detection."""


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """The pixels of a galaxy.

    Attributes:
        galaxy:         bool, shape [S, S].
        neighbours:     bool, shape [S, S].
        centroid:       Centroid of the galaxy's light, (x, y) [pixels] from the first pixel.
        truncated:      Whether the galaxy reaches the edge of the stamp, or of that part of it that
                        was really observed.
        off_centre:     Whether the centroid lies outside of the central quarter.
    """

    galaxy: np.ndarray
    neighbours: np.ndarray
    centroid: tuple
    truncated: bool
    off_centre: bool


def segment(stamp, observation):
    """Find the galaxy in a stamp.

    Parameters:
        stamp:          Finite numbers, shape [S, S], as observed.
        observation:    The `Observation` whose PSF and noise the stamp has.

    Returns:
        a `Segmentation`, or None where no galaxy is detected.
    """
    smooth = signal.fftconvolve(stamp, observation.psf[::-1, ::-1], mode="same")
    sigma = observation.smoothed_sigma(observation.psf)
    regions, count = ndimage.label(smooth > THRESHOLD * sigma)
    if count == 0:
        return None
    numbers = np.arange(1, count + 1)
    area = ndimage.sum_labels(np.ones_like(stamp), regions, numbers)
    light = ndimage.sum_labels(smooth, regions, numbers)
    central = np.isin(numbers, np.unique(regions[_middle(stamp.shape)]))
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
    row, column = _middle(stamp.shape)
    inside = (row.start - 0.5 <= y0 <= row.stop - 0.5
              and column.start - 0.5 <= x0 <= column.stop - 0.5)
    observed = np.ones(stamp.shape, bool) if observation.footprint is None else (
        observation.footprint)
    edge = galaxy & ~ndimage.binary_erosion(observed)
    return Segmentation(galaxy=galaxy, neighbours=np.isin(regions, others),
                        centroid=(float(x0), float(y0)), truncated=bool(edge.any()),
                        off_centre=not inside)


def _middle(shape):
    """The central quarter of the area."""
    return tuple(slice(n // 4, n - n // 4) for n in shape)
