"""From what a survey's file says to a galaxy of the collection."""

import dataclasses

import numpy as np
from scipy import ndimage

from galsim_deep.observations.collection import CollectedGalaxy

from . import distance, light, sky
from .ellipse import Ellipse, ellipse_of, profile_of
from .observed import Observed
from .segments import find_segments, rough_sky

MARGIN = 8
"""Pixels around the region in which the sky is kept."""
NO_LIGHT = 1.5
"""The Sersic fit to a galaxy cut at a segment takes it to be dark beyond this multiple of its
radius."""
TOO_LARGE = 1.6
"""If its half-light radius is larger than this multiple of the observed one, it is fitted again
with all pixels beyond the segment dark."""


@dataclasses.dataclass
class Cleaned:
    """A galaxy whose sky is subtracted.

    Attributes:
        observed:   What it was made from.
        image:      Sky subtracted, [h, w].
        usable:     bool [h, w].
        segment:    bool [h, w].
        ellipse:    Its ellipse.
        sigma:      Standard deviation of the noise in a pixel of the galaxy.
        sums:       For the correlation of the noise, see `sky.covariance_sums`; None for cut ones.
        sky:        How the sky was found.
        level:      The sky [standard deviations of the noise].
    """

    observed: Observed
    image: np.ndarray
    usable: np.ndarray
    segment: np.ndarray
    ellipse: Ellipse
    sigma: float
    sums: tuple[np.ndarray, np.ndarray] | None
    sky: str
    level: float


def cleaned(observed: Observed) -> Cleaned:
    """Find the segment, the other objects, the sky and the noise of a galaxy."""
    if observed.cut:
        return _cut(observed)
    image = np.asarray(observed.image, float)
    usable = np.isfinite(image)
    if observed.usable is not None:
        usable &= observed.usable
    image = np.where(usable, image, 0.0)
    segment = observed.segment
    if segment is None:
        segment, others = find_segments(image, usable, observed.contrast)
        usable = usable & ~others
    if observed.sky is None:
        level, _ = rough_sky(image, usable)
        for _ in range(2):
            ellipse = ellipse_of(image - level, segment & usable)
            level, how = sky.sky_of(image, usable, segment, ellipse)
    else:
        level, how = observed.sky, "known"
        ellipse = ellipse_of(image - level, segment & usable)
    image = np.where(usable, image - level, 0.0)
    pixels = sky.sky_pixels(usable, segment, ellipse)
    enough = pixels.sum() >= sky.ENOUGH
    if not enough:
        pixels = usable & ~ndimage.binary_dilation(segment, iterations=2)
    sigma = observed.noise_sigma or sky.noise_of(image, pixels)
    sums = sky.covariance_sums(image / sigma, pixels) if enough else None
    return Cleaned(observed, image, usable, segment, ellipse, sigma, sums, how, level / sigma)


def _cut(observed: Observed) -> Cleaned:
    """A galaxy that is zero beyond a segment: holes in the segment are not usable."""
    pieces, count = ndimage.label(observed.image > 0, np.ones((3, 3)))
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    areas[0] = 0
    kept = (areas >= 0.1 * areas.max())[pieces]
    segment = ndimage.binary_fill_holes(kept)
    image = np.where(kept, observed.image, 0.0).astype(float)
    usable = kept | ~segment
    return Cleaned(observed, image, usable, segment, ellipse_of(image, segment),
                   sky.noise_in_segment(image, segment), None, "", 0.0)


def prepared(clean: Cleaned, correlation: np.ndarray | None) -> CollectedGalaxy:
    """Measure a galaxy and cut its stamp to what is needed.

    Parameters:
        clean:          The galaxy without sky.
        correlation:    The correlation function of its noise; None if it is not known.
    """
    seen, sigma = clean.observed, clean.sigma
    broadening = 1.0 if correlation is None else max(float(correlation.sum()), 0.3)
    ellipse, shape = clean.ellipse, None
    # The centre of the Sersic fit is the better one, and the fit needs a first radius.
    for _ in range(2):
        radius, own, fitted = _light(clean, ellipse, broadening)
        flux_radius = light.half_light(own)
        if shape is None:
            shape = light.shape_of(
                clean.image, fitted, ellipse, flux_radius, _fitted_reach(flux_radius, radius),
                seen.psf, seen.psf_scale / seen.pixel_scale, sigma)
            if seen.cut and shape.radius > TOO_LARGE * flux_radius:
                # Only the segment keeps the fit from wings that are not there.
                shape = light.shape_of(
                    clean.image, clean.usable, ellipse, flux_radius,
                    _fitted_reach(flux_radius, radius), seen.psf,
                    seen.psf_scale / seen.pixel_scale, sigma)
            if np.hypot(shape.x - ellipse.x, shape.y - ellipse.y) < 0.5 * flux_radius + 1:
                ellipse = ellipse_of(clean.image, clean.segment & clean.usable,
                                     (shape.x, shape.y))
    flux = own.sum()
    photons = seen.photons or (sigma**2 / seen.sky_flux if seen.sky_flux else 0.0)
    error = np.sqrt((own != 0).sum() * broadening * sigma**2 + photons * max(flux, 0.0))
    scale, psf_scale, redshift, fainter = _as_used(seen)
    image, usable, x, y = _framed(clean, ellipse, radius)
    lost = _lost_light(image, usable, dataclasses.replace(ellipse, x=x, y=y), radius)
    notes = [seen.notes, "" if shape.success or seen.cut else "the Sersic fit is doubtful",
             "the sky is the constant under a fitted disc" if clean.sky == "disc" else ""]
    zero_point = seen.zero_point + fainter
    magnitude = zero_point - 2.5 * np.log10(flux)
    if np.isfinite(seen.magnitude):
        magnitude = seen.magnitude + fainter
    return CollectedGalaxy(
        image=image, usable=usable, psf=seen.psf, psf_scale=psf_scale,
        noise_correlation=correlation, name=seen.name, survey=seen.survey, band=seen.band,
        group=0, held_out=seen.judge_only, judge_only=seen.judge_only, pixel_scale=scale,
        noise_sigma=0.0 if seen.cut else clean.sigma, photon_variance=photons,
        zero_point=zero_point, cut=seen.cut, x=x, y=y, radius_used=radius,
        magnitude=float(magnitude), redshift=redshift,
        half_light_radius=shape.radius * scale, flux_radius=flux_radius * scale,
        lost_light=lost,
        ellipse_axis_ratio=ellipse.q, ellipse_angle=float(np.degrees(ellipse.angle)),
        sersic_n=shape.n, axis_ratio=shape.q, position_angle=shape.angle,
        signal_to_noise=float(flux / error), wavelength=seen.wavelength,
        rest_wavelength=seen.wavelength / (1 + seen.redshift), ra=seen.ra, dec=seen.dec,
        original_pixel_scale=seen.pixel_scale, original_redshift=seen.redshift,
        visual_class=seen.visual_class, p_bar=seen.p_bar, pitch_angle=seen.pitch_angle,
        notes="; ".join(note for note in notes if note), noise_inside=clean.sigma)


def _light(clean: Cleaned, ellipse: Ellipse, broadening: float
           ) -> tuple[float, np.ndarray, np.ndarray]:
    """Radius of the light [pixels], the galaxy's light alone, and the pixels for the Sersic fit."""
    if not clean.observed.cut:
        radius = light.radius_of_light(clean.image, clean.usable, ellipse, clean.sigma, broadening)
        return radius, light.filled(clean.image, clean.usable, ellipse, radius), clean.usable
    distance = ellipse.radius(clean.image.shape)
    radius = float(np.percentile(distance[clean.segment], 98))
    # Beyond the segment nothing is known, but far from it there is hardly any light.
    far = (distance > NO_LIGHT * radius) & ~clean.segment
    return radius, clean.image, (clean.segment & clean.usable) | far


def _fitted_reach(flux_radius: float, radius: float) -> float:
    """Half the side of the square in which the Sersic profile is fitted [pixels]."""
    return max(min(6 * flux_radius, 2 * radius + 4), 12)


def _lost_light(image: np.ndarray, usable: np.ndarray, ellipse: Ellipse, radius: float) -> float:
    """Share of the light, by the elliptical profile, in pixels that cannot be used."""
    distance = ellipse.radius(image.shape)
    smooth = profile_of(image, usable, ellipse).at(distance).clip(0)
    smooth = np.where(distance <= radius, smooth, 0.0)
    return float(smooth[~usable].sum() / smooth.sum())


def _as_used(seen: Observed) -> tuple[float, float, float, float]:
    """Scale of pixels and of the PSF [arcsec], redshift and dimming [mag], as used."""
    if not seen.nearby:
        return seen.pixel_scale, seen.psf_scale, seen.redshift, 0.0
    known = np.isfinite(seen.redshift)
    near = seen.redshift if known else seen.likely_redshift
    far = distance.moved_redshift(near, seen.pixel_scale)
    return (distance.PIXEL, seen.psf_scale * distance.PIXEL / seen.pixel_scale,
            far if known else np.nan, distance.dimming(near, far))


def _framed(clean: Cleaned, ellipse: Ellipse, radius: float
            ) -> tuple[np.ndarray, np.ndarray, float, float]:
    """The stamp about the galaxy: image, usable pixels, and the centre in it.

    It reaches 1.7 times as far as the light, or as far as was observed.
    """
    rows, columns = clean.image.shape
    x, y = int(round(ellipse.x)), int(round(ellipse.y))
    farthest = max(x, y, columns - 1 - x, rows - 1 - y)
    if clean.observed.cut:
        lit = np.argwhere(clean.segment) - (y, x)
        half = int(np.abs(lit).max()) + 2
    else:
        half = min(int(np.ceil(sky.BEYOND * radius)) + MARGIN, farthest)
    window = np.s_[y:y + 2 * half + 1, x:x + 2 * half + 1]
    image = np.pad(clean.image, half)[window]
    usable = np.pad(clean.usable, half, constant_values=clean.observed.cut)[window]
    return image, usable, ellipse.x - x + half, ellipse.y - y + half
