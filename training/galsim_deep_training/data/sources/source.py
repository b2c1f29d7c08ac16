"""A real galaxy that is prepared to be observed again."""

__all__ = ["Source", "SourceNoise", "prepared"]

import dataclasses
import functools
from typing import TYPE_CHECKING

import galsim
import numpy as np
from scipy import fft, ndimage

from galsim_deep.measure.half_light import measured_radius
from galsim_deep.observations.noise import periodic_power

from .complete import Smooth, completed
from .segment_edge import extrapolated_beyond_edge
from .sharpened import Sharp, radial_mean, sharpened

if TYPE_CHECKING:
    from galsim_deep.observations.collection import CollectedGalaxy

FIELD, RINGS = 64, 32
"""Pixels on a side of the field on which the power of the noise is computed, and rings of
frequencies in which it is averaged."""
HALF_LIGHT = 1.1774
"""Half-light radius of a round Gaussian in units of its standard deviation."""


@dataclasses.dataclass(frozen=True)
class SourceNoise:
    """The noise of a stamp that is left in a source, some of it in only a part of the pixels.

    Attributes:
        sigma:          Standard deviation in a pixel of the stamp, for a galaxy of unit flux.
        pixel_scale:    Size of a pixel of the stamp [arcsec].
        frequencies:    At which ``power`` is known [1/arcsec], float64 [m].
        power:          Power relative to white noise, averaged over directions, float64 [m].
        share:          Share of ``sigma`` that each pixel of the stamp has, from 0 to 1, float32
                        [s, s], on the field of `Source.sharp`.

    Example::

        >>> noise = SourceNoise(
        ...     sigma=0.01, pixel_scale=0.03, frequencies=np.array([0.0, 10.0]),
        ...     power=np.array([2.0, 1.0]), share=np.ones((8, 8), np.float32))
        >>> float(noise.power_at(5.0))
        1.5
    """

    sigma: float
    pixel_scale: float
    frequencies: np.ndarray
    power: np.ndarray
    share: np.ndarray

    def power_at(self, frequency: np.ndarray) -> np.ndarray:
        """`power` at frequencies [1/arcsec]."""
        return np.interp(frequency, self.frequencies, self.power)

    @functools.cached_property
    def profile(self) -> galsim.GSObject:
        """``share`` as a profile: its value in a pixel is the surface brightness there."""
        return galsim.InterpolatedImage(
            galsim.Image(self.share, scale=self.pixel_scale), x_interpolant="linear",
            normalization="sb", calculate_stepk=False, calculate_maxk=False)


@dataclasses.dataclass(frozen=True)
class Source:
    """A galaxy of unit flux, with a narrow Gaussian in place of its own PSF.

    Attributes:
        name:           Its name in the collection.
        survey:         The survey that observed it.
        group:          Number of the galaxy; stamps of the same galaxy have the same number.
        weight:         Its weight among the sources: that of its survey, shared between the stamps
                        of one galaxy.
        sharp:          The galaxy, complete, of unit flux.
        noise:          The noise that is left in it.
        radius:         Radius of the circle that holds half of the light, before the PSF [arcsec].
        circularised:   The root of the product of the semi-axes of the ellipse that holds half of
                        the light, before the PSF [arcsec], as catalogues of fits give it.
        extent:         Distance from the middle of the image beyond which there is no light
                        [arcsec].
        sersic_n:       Sersic index.
        axis_ratio:     Minor over major axis.
        redshift:       Redshift; NaN if it is not known.

    Example::

        >>> from galsim_deep.observations.collection import Collection
        >>> galaxy = Collection("training/sources/real_galaxies.h5").galaxy("hudf-010")
        >>> source = prepared(galaxy, weight=1.0)
        >>> source.survey, round(source.profile.flux, 6), source.sharp.pixel_scale
        ('hudf', 1.0, 0.015)
    """

    name: str
    survey: str
    group: int
    weight: float
    sharp: Sharp
    noise: SourceNoise
    radius: float
    circularised: float
    extent: float
    sersic_n: float
    axis_ratio: float
    redshift: float

    @functools.cached_property
    def profile(self) -> galsim.GSObject:
        """The galaxy with its Gaussian PSF, of unit flux, about its centroid."""
        profile = galsim.InterpolatedImage(
            galsim.Image(self.sharp.image, scale=self.sharp.pixel_scale), flux=1.0,
            calculate_stepk=False, calculate_maxk=False)
        return profile.shift(-profile.centroid)


def prepared(galaxy: "CollectedGalaxy", weight: float) -> Source:
    """Prepare a galaxy of the collection.

    Parameters:
        galaxy:     The galaxy as it was observed.
        weight:     Its weight among the sources.

    Returns:
        the galaxy: complete, of unit flux, with its own PSF replaced.

    Raises:
        galsim.GalSimError: if no light is found about its centre.
    """
    smooth = Smooth(
        x=galaxy.x, y=galaxy.y, sersic_n=galaxy.sersic_n, axis_ratio=galaxy.axis_ratio,
        half_light_radius=galaxy.half_light_radius
        / galaxy.pixel_scale / np.sqrt(galaxy.axis_ratio),
        position_angle=galaxy.position_angle)
    correlation = galaxy.noise_correlation
    if galaxy.cut:
        # The edge lies at the radius of the ellipse that has the area of the segment.
        edge = np.sqrt((galaxy.image > 0).sum() / (np.pi * galaxy.axis_ratio))
        image = extrapolated_beyond_edge(galaxy.image, smooth.scale_length(edge))
        sigma, share = galaxy.noise_inside, (image > 0).astype(float)
    else:
        try:
            whole = completed(galaxy.image, galaxy.usable, galaxy.noise_sigma, smooth,
                              1.0 if correlation is None else max(1.0, float(correlation.sum())))
        except galsim.GalSimError as err:
            raise galsim.GalSimError(
                f"The galaxy '{galaxy.name}' of the collection cannot be a source: {err}. Name it "
                "in data.sources.leave_out of the recipe.") from err
        image, sigma, share = whole.image, galaxy.noise_sigma, whole.noise
    variance = np.square(share) * (
        sigma**2 + galaxy.photon_variance * ndimage.gaussian_filter(image, 2.0).clip(0))
    noise = _noise(variance / image.sum()**2, image, correlation, galaxy.pixel_scale)
    image = image / image.sum()
    sharp = sharpened(image, galaxy.pixel_scale, galaxy.psf, galaxy.psf_scale)
    radius = _radius(sharp)
    # The circle that holds half of the light of an inclined disc is larger than the ellipse.
    circularised = radius * 2 * np.sqrt(galaxy.axis_ratio) / (1 + galaxy.axis_ratio)
    lit = np.argwhere(image > 0) - 0.5 * (len(image) - 1)
    return Source(
        name=galaxy.name, survey=galaxy.survey, group=galaxy.group, weight=weight, sharp=sharp,
        noise=noise, radius=radius, circularised=circularised,
        extent=(np.hypot(*lit.T).max() + 1) * galaxy.pixel_scale, sersic_n=galaxy.sersic_n,
        axis_ratio=galaxy.axis_ratio, redshift=galaxy.redshift)


def _noise(variance: np.ndarray, image: np.ndarray, correlation: np.ndarray | None,
           pixel_scale: float) -> SourceNoise:
    """The noise of a galaxy from its variance in each pixel, for unit flux."""
    # Within the core, where the photons of the galaxy itself make the noise, it may be larger.
    bright = np.sort(image.ravel())[::-1].cumsum().searchsorted(0.5 * image.sum())
    typical = variance.ravel()[np.argsort(-image.ravel())[:bright + 1]].mean()
    frequencies, power = _noise_power(correlation, pixel_scale)
    share = np.sqrt(variance / max(typical, 1e-300)).clip(0, 1)
    return SourceNoise(sigma=float(np.sqrt(typical)), pixel_scale=pixel_scale,
                       frequencies=frequencies, power=power, share=share.astype(np.float32))


def _radius(sharp: Sharp) -> float:
    """Half-light radius before the Gaussian PSF [arcsec]."""
    radius = measured_radius(sharp.image.astype(float)) * sharp.pixel_scale
    return float(np.sqrt(max(radius**2 - (HALF_LIGHT * sharp.sigma)**2, 0.01 * radius**2)))


def _noise_power(correlation: np.ndarray | None,
                 pixel_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies [1/arcsec], power relative to white noise), averaged over directions."""
    edges = np.linspace(0, 0.5 / pixel_scale, RINGS + 1)
    if correlation is None:
        return edges, np.ones_like(edges)
    power = periodic_power(correlation, (FIELD, FIELD))
    frequency = np.hypot(fft.fftfreq(FIELD, pixel_scale)[:, None],
                         fft.rfftfreq(FIELD, pixel_scale))
    return radial_mean(power, frequency, edges)
