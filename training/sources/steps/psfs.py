"""Images of PSFs with their centroid on the middle pixel."""

import galsim
import numpy as np

from galsim_deep.measure.moments import adaptive_moments
from galsim_deep.observations.psf import psf_image


def centred_psf_image(psf: galsim.GSObject, size: int, pixel_scale: float) -> np.ndarray:
    """An effective PSF, shifted so that its adaptive centroid is on the middle pixel.

    A galaxy whose PSF is divided out would move by the offset of the PSF.

    Parameters:
        psf:            The PSF.
        size:           Pixels on a side of the image P, odd.
        pixel_scale:    Size of a pixel [arcsec].

    Returns:
        float64, shape [P, P], unit sum.
    """
    for _ in range(3):
        image = psf_image(psf, size, pixel_scale)
        moments = adaptive_moments(image)
        if moments is None:
            break
        offset = moments.moments_centroid - galsim.PositionD(size // 2, size // 2)
        if np.hypot(offset.x, offset.y) < 0.01:
            break
        psf = psf.shift(-pixel_scale * offset)
    return image
