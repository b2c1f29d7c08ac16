"""Measurements and readings that the data builders share."""

__all__ = ["flux_radius", "psf_image", "read_psfs"]

import galsim
import numpy as np


def flux_radius(image):
    """Radius of the circle about the centroid that holds half of the light.

    Parameters:
        image:      A noiseless stamp, shape [S, S].

    Returns:
        the radius [pixels]; SExtractor's FLUX_RADIUS for an image without noise.
    """
    image = galsim.Image(np.asarray(image, float), scale=1.0, xmin=0, ymin=0)
    total = image.array.sum()
    y, x = np.indices(image.array.shape)
    centroid = galsim.PositionD((x * image.array).sum() / total, (y * image.array).sum() / total)
    return float(image.calculateHLR(center=centroid))


def psf_image(psf, size, pixel_scale):
    """Sample a PSF, centred on the middle pixel of an odd stamp: shape [P, P], unit sum."""
    image = psf.drawImage(nx=size, ny=size, scale=pixel_scale, method="no_pixel", dtype=float)
    return image.array / image.array.sum()


def read_psfs(catalog, size, pixel_scale):
    """Read all PSFs of a RealGalaxyCatalog.

    Returns:
        (profiles, images): a list of K GSObjects, and their samplings, shape [K, P, P].  The PSFs
        of such catalogues are effective ones: they include the pixel response.
    """
    catalog = galsim.RealGalaxyCatalog(str(catalog.name), dir=str(catalog.parent))
    profiles = [catalog.getPSF(i).withFlux(1.0) for i in range(catalog.nobjects)]
    return profiles, np.stack([psf_image(psf, size, pixel_scale) for psf in profiles])
