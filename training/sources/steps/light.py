"""What is measured on a galaxy: where it has light, how much, and its shape before the PSF."""

import dataclasses

import galsim
import numpy as np

from galsim_deep.measure.half_light import measured_radius
from galsim_deep.measure.parametric import fit_sersic
from galsim_deep.observations.filling import opposite
from galsim_deep.observations.psf import psf_image

from .ellipse import Ellipse, profile_of

SIGNIFICANT = 2.0
"""Light is seen as far out as the mean of annuli is above this multiple of its error."""
SKY_ERROR = 0.03
"""Error of the sky [standard deviations of the noise in a pixel]."""


def radius_of_light(image: np.ndarray, usable: np.ndarray, ellipse: Ellipse, sigma: float,
                    broadening: float) -> float:
    """Semi-major axis out to which light is seen [pixels].

    It ends where two annuli in a row are not above their error, or are mostly beyond the stamp.

    Parameters:
        image:          Sky subtracted, [h, w].
        sigma:          Standard deviation of the noise in a pixel.
        broadening:     Variance of the sum of many pixels over that of white noise.
    """
    profile = profile_of(image, usable, ellipse)
    error = sigma * np.sqrt(broadening / np.maximum(profile.count, 1) + SKY_ERROR**2)
    seen = (profile.share > 0.35) & (profile.mean > SIGNIFICANT * error)
    for number in range(1, len(seen) - 1):
        if not seen[number] and not seen[number + 1]:
            return float(profile.edges[number])
    return float(profile.edges[-1])


def filled(image: np.ndarray, usable: np.ndarray, ellipse: Ellipse, radius: float) -> np.ndarray:
    """The light of a galaxy alone, for measurements: zero beyond a radius.

    Pixels that cannot be used take the value opposite to them, as seen from the centre, or that of
    the elliptical profile if that cannot be used either.
    """
    distance = ellipse.radius(image.shape)
    values, known = opposite(image, usable, (ellipse.y, ellipse.x))
    other = np.where(known, values, profile_of(image, usable, ellipse).at(distance))
    return np.where(distance <= radius, np.where(usable, image, other), 0.0)


@dataclasses.dataclass(frozen=True)
class Shape:
    """A Sersic fit: centre and radius [pixels], index, axis ratio, position angle [degrees]."""

    x: float
    y: float
    radius: float
    n: float
    q: float
    angle: float
    success: bool


def shape_of(image: np.ndarray, usable: np.ndarray, ellipse: Ellipse, flux_radius: float,
             reach: float, psf: np.ndarray, psf_in_pixels: float, sigma: float) -> Shape:
    """Fit a Sersic profile through the PSF.

    Parameters:
        image:          Sky subtracted, [h, w].
        usable:         Pixels to fit, bool [h, w].
        flux_radius:    Half-light radius as observed [pixels].
        reach:          The fit uses a square of twice this size [pixels].
        psf:            Effective PSF, [P, P].
        psf_in_pixels:  Size of its pixels [pixels of the image].
        sigma:          Standard deviation of the noise in a pixel.
    """
    # A galaxy of many pixels is fitted in coarser ones, which is much faster.
    factor = max(1, int(flux_radius / 5))
    half = int(np.ceil(max(reach, 12) / factor)) * factor
    x, y = int(round(ellipse.x)), int(round(ellipse.y))
    values = np.pad(np.where(usable, image, np.nan), half, constant_values=np.nan)
    values = values[y:y + 2 * half, x:x + 2 * half]
    side = 2 * half // factor
    blocks = values.reshape(side, factor, side, factor)
    known = np.isfinite(blocks).mean((1, 3))
    with np.errstate(invalid="ignore"):
        coarse = np.where(known >= 0.5, np.nansum(blocks, (1, 3)) / np.maximum(known, 0.5), np.nan)
    star = galsim.InterpolatedImage(galsim.Image(psf, scale=psf_in_pixels), flux=1.0)
    if factor > 1:
        # The sum of factor x factor effective pixels is that of a box of their size.
        star = galsim.Convolve(star, galsim.Pixel(float(factor)))
    size = 2 * int(min(0.5 * len(psf) * psf_in_pixels / factor + 1, 20)) + 1
    fit = fit_sersic(coarse, float(factor), psf_image(star, size, float(factor)), sigma * factor)
    if not fit.components:
        return Shape(ellipse.x, ellipse.y, flux_radius, 1.0, ellipse.q, np.degrees(ellipse.angle),
                     False)
    part = fit.components[0]
    # Both are measured from the middle of the square: its pixels start at x - half.
    middle_x, middle_y = x - 0.5, y - 0.5
    return Shape(middle_x + fit.centre[0], middle_y + fit.centre[1], part.half_light_radius,
                 part.n, part.q, np.degrees(part.angle), fit.success)


def half_light(light: np.ndarray) -> float:
    """Radius of the circle about the centroid with half of the light [pixels]."""
    return float(measured_radius(light))
