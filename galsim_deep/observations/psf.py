"""Images of PSFs, as observations and data sets hold them."""

__all__ = ["psf_image"]

import galsim
import numpy as np


def psf_image(psf: galsim.GSObject, size: int, pixel_scale: float) -> np.ndarray:
    """Sample an effective PSF (pixel response included) at the centres of pixels.

    Parameters:
        psf:            The PSF.
        size:           Pixels on a side of the image P, odd.
        pixel_scale:    Size of a pixel [arcsec].

    Returns:
        float64, shape [P, P], centred on the middle pixel, unit sum; NaN for a PSF without flux.

    Example::

        >>> import galsim
        >>> image = psf_image(galsim.Moffat(beta=3.0, fwhm=0.1), 33, 0.03)
        >>> image.shape, bool(image[16, 16] == image.max()), round(float(image.sum()), 12)
        ((33, 33), True, 1.0)
    """
    image = psf.drawImage(nx=size, ny=size, scale=pixel_scale, method="no_pixel", dtype=float).array
    with np.errstate(invalid="ignore", divide="ignore"):
        return image / image.sum()
