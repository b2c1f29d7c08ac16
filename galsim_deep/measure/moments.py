"""Adaptive moments: centroid, size and shape of a galaxy, weighted by the best elliptical Gaussian.

Bernstein & Jarvis 2002 (AJ 123, 583, arXiv:astro-ph/0107431); Hirata & Seljak 2003 (MNRAS 343, 459,
arXiv:astro-ph/0301054); as implemented in `galsim.hsm`.
"""

__all__ = ["adaptive_moments"]

import galsim
import numpy as np
from numpy.typing import ArrayLike


def adaptive_moments(image: ArrayLike, centroid: tuple[float, float] | None = None,
                     ignored: np.ndarray | None = None) -> galsim.hsm.ShapeData | None:
    """Adaptive moments of an image.

    Parameters:
        image:      Shape [S, S].
        centroid:   The start of the iteration, (x, y) [pixels] from the first pixel.
                    [default: the middle of the image]
        ignored:    Pixels that are left out, bool [S, S].  [default: None]

    Returns:
        a `galsim.hsm.ShapeData` in units of pixels, with the centroid counted from the first pixel;
        None if the image is not finite, the iteration does not converge, or it converges to
        something that is no galaxy (negative flux, or wider than a quarter of the image).

    Example::

        >>> import galsim
        >>> image = galsim.Gaussian(sigma=3.0).drawImage(nx=48, ny=48, scale=1.0).array
        >>> round(adaptive_moments(image).moments_sigma, 2)
        3.01
    """
    options = {}
    if centroid is not None:
        options["guess_centroid"] = galsim.PositionD(*centroid)
    if ignored is not None and ignored.any():
        options["badpix"] = galsim.Image(ignored.astype(np.int32), xmin=0, ymin=0)
    image = np.array(image, float)
    if not np.isfinite(image).all():
        return None
    # The iteration may diverge from one starting size and converge from another.
    for guess in (5.0, 10.0, 2.5):
        try:
            moments = galsim.hsm.FindAdaptiveMom(
                galsim.Image(image, scale=1.0, xmin=0, ymin=0), guess_sig=guess, strict=False,
                **options)
        except galsim.GalSimError:
            continue
        # A flat image has a sigma of 0.36 times its size.
        if (moments.error_message == "" and moments.moments_amp > 0
                and 0 < moments.moments_sigma < min(image.shape) / 4):
            return moments
    return None
