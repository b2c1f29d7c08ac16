"""Clipped images, such as radio maps that are zero wherever there is no significant emission."""

__all__ = ["REACH", "clipped"]

import numpy as np
from scipy import ndimage

REACH = 8
"""How far emission is followed from a significant pixel [steps to one of the eight neighbours]."""


def clipped(stamp: np.ndarray, noise_sigma: float, threshold: float, peak: float) -> np.ndarray:
    """Set a stamp to zero wherever there is no significant emission.

    A pixel is kept if it is above ``threshold`` and connected to a pixel above ``peak`` by at most
    `REACH` steps over pixels above ``threshold``.  Other islands are taken to be noise.

    `galsim_deep_training.physics.observation.clipped` applies the same rule and has a gradient, for
    training.

    Parameters:
        stamp:          Shape [S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, in the unit of the stamp.
        threshold:      Lowest value of a pixel that is kept, in units of the noise.
        peak:           Value that an island has to exceed somewhere, in units of the noise; higher
                        than the threshold.

    Returns:
        an array of the shape and type of ``stamp``.
    """
    signal = stamp / noise_sigma
    kept = ndimage.binary_dilation(
        signal > peak, np.ones((3, 3)), iterations=REACH, mask=signal > threshold)
    return np.where(kept, stamp, np.zeros((), stamp.dtype))
