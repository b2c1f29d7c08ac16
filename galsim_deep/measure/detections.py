"""How many sources a survey finds in one galaxy.

Sources are found and deblended as by SExtractor (Bertin & Arnouts 1996, A&AS 117, 393), in the
implementation of Barbary (2016, JOSS 1, 58), the package sep.
"""

__all__ = ["Detections", "detect"]

import dataclasses

import numpy as np
from scipy import signal

THRESHOLD = 2.5
"""Lowest value of a pixel of a source, after smoothing [standard deviations of the noise]."""
KERNEL = np.outer([1, 2, 1], [1, 2, 1]) / 16
"""The image is smoothed with this."""
DEBLENDING = dict(deblend_nthresh=32, deblend_cont=0.005)
"""SExtractor's default values."""


@dataclasses.dataclass(frozen=True)
class Detections:
    """The sources within a galaxy.

    Attributes:
        number:     Sources whose centre is within the extent of the galaxy.
        pieces:     Sources into which the region above the threshold that holds the galaxy was
                    divided; 0 if the galaxy was not found.
    """

    number: int
    pieces: int


def detect(image: np.ndarray, noise_sigma: float, centre: tuple[float, float], radius: float,
           fwhm: float, masked: np.ndarray | None = None) -> Detections:
    """Find the sources within a galaxy.

    Parameters:
        image:          Shape [S, S].
        noise_sigma:    Standard deviation of the noise after smoothing with `KERNEL`.
        centre:         Position (x, y) of the galaxy [pixels from the middle of the first].
        radius:         Its extent [pixels].
        fwhm:           Full width at half maximum of the PSF [pixels]; a source has at least as
                        many pixels as a disc of this diameter, and at least 5.
        masked:         Pixels in which nothing is to be found, bool [S, S].  [default: None]

    Returns:
        the `Detections`.

    Example, for two stars:

        >>> y, x = np.indices((32, 32))
        >>> stars = sum(np.exp(-0.5 * ((x - at)**2 + (y - 16)**2) / 1.5**2) for at in (12, 20))
        >>> detect(stars, 0.01, (16.0, 16.0), 12.0, fwhm=3.5)
        Detections(number=2, pieces=2)
    """
    import sep

    pixels = max(5, round(np.pi / 4 * fwhm**2))
    smooth = signal.fftconvolve(image, KERNEL, mode="same")
    smooth = np.ascontiguousarray(smooth, float)

    def found(**deblending: float) -> tuple[np.ndarray, np.ndarray]:
        return sep.extract(smooth, THRESHOLD * noise_sigma, mask=masked, minarea=pixels,
                           filter_kernel=None, clean=False, segmentation_map=True, **deblending)

    try:
        sources, _ = found(**DEBLENDING)
        _, regions = found(deblend_nthresh=1, deblend_cont=1.0)
    except Exception:  # sep raises its own error if there are more pieces than it can hold
        return Detections(0, 0)
    x, y = sources["x"], sources["y"]
    distance = np.hypot(x - centre[0], y - centre[1])
    number = int((distance < radius).sum())
    if not number:
        return Detections(0, 0)
    # The galaxy is the region of the brightest source in the inner half of its extent.
    inner = np.flatnonzero(distance < max(0.5 * radius, pixels**0.5))
    if not len(inner):
        return Detections(number, 0)
    brightest = inner[np.argmax(sources["flux"][inner])]
    at = (np.round(sources["ypeak"]).astype(int), np.round(sources["xpeak"]).astype(int))
    of_region = regions[at]
    own = of_region[brightest]
    return Detections(number, int((of_region == own).sum()) if own else 1)
