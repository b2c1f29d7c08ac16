"""Galaxies as another survey would see them: its PSF, pixels and noise.

A stamp is divided by its own PSF and convolved with that of the survey.  This is stable where the
survey's PSF is the wider one; other galaxies are left out.
"""

__all__ = ["EUCLID", "RUBIN", "Survey", "observed_by"]

import dataclasses

import galsim
import numpy as np
from scipy import fft

from ..observations.observation import Observation
from .moments import adaptive_moments
from .shear import deconvolved, gaussian_transfer

_WIDER = 1.05
"""The survey's PSF must be wider than that of the stamp by this factor."""
_FWHM = 2 * np.sqrt(2 * np.log(2))
"""Full width at half maximum of a Gaussian, over its standard deviation."""


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a survey observes with.

    Attributes:
        name:           A short name.
        psf_fwhm:       Full width at half maximum of the effective PSF (pixel response included),
                        a Gaussian [arcsec].
        pixel_scale:    Size of a pixel [arcsec].
        depth:          AB magnitude of a point source that is detected at 5 sigma.

    Example:

        >>> round(RUBIN.noise_sigma(zero_point=25.94), 3)
        0.017
    """

    name: str
    psf_fwhm: float
    pixel_scale: float
    depth: float

    @property
    def sigma(self) -> float:
        """Standard deviation of the PSF [arcsec]."""
        return self.psf_fwhm / _FWHM

    def noise_sigma(self, zero_point: float) -> float:
        """Standard deviation of the noise in a pixel.

        The flux of a point source, by its matched filter, has the error of sqrt(4 pi) sigma pixels.

        Parameters:
            zero_point:     AB magnitude of unit flux.
        """
        flux = 10 ** (-0.4 * (self.depth - zero_point))
        return float(flux / 5 / (np.sqrt(4 * np.pi) * self.sigma / self.pixel_scale))

    def psf_image(self) -> galsim.Image:
        """The PSF on the pixels of the survey."""
        size = 2 * int(np.ceil(5 * self.sigma / self.pixel_scale)) + 1
        return galsim.Gaussian(sigma=self.sigma).drawImage(
            nx=size, ny=size, scale=self.pixel_scale, method="no_pixel", dtype=float)


EUCLID = Survey("euclid", psf_fwhm=0.18, pixel_scale=0.1, depth=26.2)
"""The wide survey of Euclid in the VIS band (Euclid Collaboration: Mellier et al. 2024,
arXiv:2405.13491)."""
RUBIN = Survey("rubin", psf_fwhm=0.7, pixel_scale=0.2, depth=26.8)
"""Ten years of the Rubin Observatory in the i band (Ivezic et al. 2019, arXiv:0805.2366)."""


def observed_by(survey: Survey, stamp: np.ndarray, observation: Observation,
                shear: galsim.Shear | None = None) -> np.ndarray | None:
    """A stamp as a survey would see it, without the survey's noise.

    Parameters:
        survey:         The `Survey`.
        stamp:          As observed, shape [S, S].
        observation:    The `Observation` with the PSF and pixels of the stamp.
        shear:          A shear that is applied to the galaxy.  [default: None]

    Returns:
        float64, square; None if the PSF of the stamp is not narrower than that of the survey.
    """
    own = adaptive_moments(observation.psf)
    sigma = survey.sigma / observation.pixel_scale
    if own is None or sigma < _WIDER * own.moments_sigma:
        return None
    # The stamp is periodic in Fourier space, so the light that is smeared beyond needs a margin.
    margin = int(np.ceil(4 * sigma))
    padded = np.pad(stamp, margin)
    shear = galsim.Shear() if shear is None else shear
    # With S a shear and * a convolution, S(galaxy) * target = S(galaxy * S^-1(target)): only the
    # smooth image is interpolated.
    smooth = fft.irfft2(deconvolved(padded, observation.psf)
                        * gaussian_transfer(padded.shape, sigma, -shear), padded.shape)
    profile = galsim.InterpolatedImage(
        galsim.Image(smooth, scale=observation.pixel_scale), calculate_stepk=False,
        calculate_maxk=False).shear(shear)
    size = int(np.ceil(len(padded) * observation.pixel_scale / survey.pixel_scale))
    return profile.drawImage(nx=size, ny=size, scale=survey.pixel_scale, method="no_pixel",
                             dtype=float).array
