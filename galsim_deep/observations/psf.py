"""Images of PSFs, as observations and data sets hold them."""

__all__ = ["half_light_radius", "psf_image", "radius_before_psf", "resized_psf"]

import galsim
import numpy as np
from numpy.typing import ArrayLike, NDArray


def resized_psf(psf: NDArray, size: int) -> NDArray:
    """Cut or pad a PSF image of an odd size to another odd size, with the sum of one if it is cut.

    >>> resized_psf(np.ones((3, 3)), 5).shape, float(resized_psf(np.ones((3, 3)), 1)[0, 0])
    ((5, 5), 1.0)
    """
    change = (size - len(psf)) // 2
    if change >= 0:
        return np.pad(psf, change)
    cut = psf[-change:change, -change:change]
    return cut / cut.sum()


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


def half_light_radius(psf: NDArray[np.float64], pixel_scale: float) -> float:
    """Radius of the circle that holds half of the light of a PSF image.

    Parameters:
        psf:            The image, [P, P].
        pixel_scale:    Size of its pixels [arcsec].

    Returns:
        [arcsec].

    >>> image = galsim.Gaussian(half_light_radius=0.2).drawImage(nx=41, ny=41, scale=0.05).array
    >>> round(half_light_radius(image, 0.05), 2)
    0.2
    """
    profile = galsim.InterpolatedImage(galsim.Image(np.asarray(psf, float), scale=pixel_scale))
    return float(profile.calculateHLR(size=4 * len(psf), scale=pixel_scale / 4))


def radius_before_psf(radius: NDArray[np.float64], psf_radius: ArrayLike) -> NDArray[np.float64]:
    """Half-light radii of galaxies before a PSF, whose radius is subtracted in quadrature.

    They are at least a tenth of those that are seen.  The radius of a Sersic fit is another one: it
    counts light that is extrapolated beyond what is seen, which a magnitude may not.

    >>> radius_before_psf(np.array([0.5, 0.3]), 0.4).round(2)
    array([0.3 , 0.03])
    """
    square = np.square(radius)
    return np.sqrt(np.maximum(square - np.square(psf_radius), 0.01 * square))
