"""Surveys whose images are zero where there is nothing significant, such as clipped radio maps."""

__all__ = ["REACH", "clipped"]

import numpy as np
from scipy import ndimage

REACH = 8
"""How far light is followed from a significant pixel [steps to one of eight neighbours]."""


def clipped(stamp, noise_sigma, threshold, peak):
    """A stamp with zero where there is nothing significant.

    What is kept is above ``threshold`` and hangs together with a pixel above ``peak``, over at most
    `REACH` pixels that are above ``threshold`` themselves.  Other islands are taken for noise.

    Parameters:
        stamp:          Shape [S, S].
        noise_sigma:    Standard deviation of the noise in a pixel.
        threshold:      In units of the noise.
        peak:           In units of the noise, higher than that.

    Returns:
        an array of the same shape and type.
    """
    signal = stamp / noise_sigma
    kept = ndimage.binary_dilation(
        signal > peak, np.ones((3, 3)), iterations=REACH, mask=signal > threshold)
    return np.where(kept, stamp, np.zeros((), stamp.dtype))
