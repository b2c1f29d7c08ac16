"""How many sources a survey finds in one galaxy.

Sources are found and deblended as by SExtractor (Bertin & Arnouts 1996, A&AS 117, 393), in the
implementation of Barbary (2016, JOSS 1, 58), the package sep.
"""

__all__ = ["KERNEL", "sources_within"]

import numpy as np
from scipy import signal

THRESHOLD = 3.0
"""Lowest value of a pixel of a source, after smoothing [standard deviations of the smoothed noise].
SExtractor's usual 1.5 standard deviations of the noise before smoothing are 2.7 of these, if the
noise is white; at this threshold there are hardly any false sources."""
KERNEL = np.outer([1, 2, 1], [1, 2, 1]) / 16
"""The image is smoothed with this."""
DEBLENDING = dict(deblend_nthresh=32, deblend_cont=0.005)
"""SExtractor's default values."""


def sources_within(image: np.ndarray, noise_sigma: float, centre: tuple[float, float],
                   radius: float, fwhm: float, masked: np.ndarray | None = None,
                   photon_variance: float = 0.0) -> int:
    """Count the sources that are found within a galaxy.

    Sources that would not have been found without the light of a brighter one are left out, as
    SExtractor does.

    Parameters:
        image:          Shape [S, S].
        noise_sigma:    Standard deviation of the noise after smoothing with `KERNEL`.
        centre:         Position (x, y) of the galaxy [pixels from the middle of the first].
        radius:         Its extent [pixels].
        fwhm:           Full width at half maximum of the PSF [pixels]; a source has at least as
                        many pixels as a disc of this diameter, and at least 5.
        masked:         Pixels in which nothing is to be found, bool [S, S].  [default: None]
        photon_variance:    Variance that a pixel of unit flux adds to that of the smoothed noise.
                        [default: 0]

    Returns:
        how many sources have their centre within the extent; more than one if the galaxy is
        shredded.

    Example, for two stars:

        >>> y, x = np.indices((32, 32))
        >>> stars = sum(np.exp(-0.5 * ((x - at)**2 + (y - 16)**2) / 1.5**2) for at in (12, 20))
        >>> sources_within(stars, 0.01, (16.0, 16.0), 12.0, fwhm=3.5)
        2
    """
    import sep

    smooth = np.ascontiguousarray(signal.fftconvolve(image, KERNEL, mode="same"), float)
    error = noise_sigma * np.sqrt(
        1 + photon_variance * np.clip(smooth, 0, None) / noise_sigma**2)
    try:
        sources = sep.extract(
            smooth, THRESHOLD, err=error, mask=masked, filter_kernel=None, clean=True,
            minarea=max(5, round(np.pi / 4 * fwhm**2)), **DEBLENDING)
    except Exception:  # sep raises errors of its own if a region has too many peaks
        return 0
    distance = np.hypot(sources["x"] - centre[0], sources["y"] - centre[1])
    return int((distance < radius).sum())
