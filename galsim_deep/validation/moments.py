"""Adaptive moments: centroid, size and shape of a galaxy, weighted by the best elliptical Gaussian.

Bernstein & Jarvis 2002 (AJ 123, 583); Hirata & Seljak 2003 (MNRAS 343, 459); by `galsim.hsm`.
"""

__all__ = ["adaptive_moments"]

import galsim
import numpy as np


def adaptive_moments(image, centroid=None, ignored=None):
    """Adaptive moments of an image (Hirata & Seljak 2003, as in `galsim.hsm`).

    Parameters:
        image:      Shape [S, S].
        centroid:   Where to begin, (x, y) [pixels] from the first pixel.  [default: the middle]
        ignored:    Pixels not to look at, bool [S, S].  [default: None]

    Returns:
        a `galsim.hsm.ShapeData` in units of pixels, its centroid from the first pixel; or None
        where there are none.
    """
    options = {}
    if centroid is not None:
        options["guess_centroid"] = galsim.PositionD(*centroid)
    if ignored is not None and ignored.any():
        options["badpix"] = galsim.Image(ignored.astype(np.int32), xmin=0, ymin=0)
    image = np.array(image, float)
    if not np.isfinite(image).all():
        return None
    # The iteration may be lost from one starting size and converge from another.
    for guess in (5.0, 10.0, 2.5):
        try:
            found = galsim.hsm.FindAdaptiveMom(
                galsim.Image(image, scale=1.0, xmin=0, ymin=0), guess_sig=guess, strict=False,
                **options)
        except galsim.GalSimError:
            continue
        # Of negative flux, or as wide as the image (0.36 of its size when flat): no galaxy.
        if (found.error_message == "" and found.moments_amp > 0
                and 0 < found.moments_sigma < min(image.shape) / 4):
            return found
    return None
