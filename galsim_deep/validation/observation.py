"""One real galaxy as it was observed, and how another profile is observed in the same way."""

__all__ = ["Observation"]

import dataclasses
import functools

import galsim
import numpy as np
from scipy import fft


@dataclasses.dataclass(frozen=True)
class Observation:
    """A real galaxy with all that is needed to draw another one under the same conditions.

    Attributes:
        number:             Its place in the sample.
        stamp:              The observed stamp, shape [S, S], flux per pixel; rows are y.
        psf:                Its effective PSF (pixel response included), shape [P, P], P odd,
                            centred on the middle pixel, unit sum, in pixels of the stamp.
        pixel_scale:        Size of a pixel [arcsec].
        noise_sigma:        Standard deviation of the noise in a pixel.
        noise_correlation:  Correlation of the noise between pixels, shape [K, K], K odd, 1 in the
                            middle; None for white noise.
        columns:            Catalogue columns of the module, by name.
        footprint:          Where the stamp was really observed, bool [S, S]; None for everywhere.
                            Beyond it the stamp was filled up with noise, so light is cut off there.
        source:             Number of the galaxy that the stamp was made from.  Stamps of one source
                            are not independent of each other.
        truth:              The profile without PSF and noise, shape [S, S], where it is known.
    """

    number: int
    stamp: np.ndarray
    psf: np.ndarray
    pixel_scale: float
    noise_sigma: float
    columns: dict
    noise_correlation: np.ndarray | None = None
    footprint: np.ndarray | None = None
    source: int = 0
    truth: np.ndarray | None = None

    @functools.cached_property
    def psf_profile(self):
        """The PSF as a `galsim.InterpolatedImage`."""
        return galsim.InterpolatedImage(
            galsim.Image(np.asarray(self.psf, float), scale=self.pixel_scale), flux=1.0)

    def convolved(self, profile):
        """A profile through the PSF of this observation, without noise.

        Parameters:
            profile:    A GSObject, before PSF and pixel.

        Returns:
            float64, shape [S, S].
        """
        seen = galsim.Convolve(profile, self.psf_profile,
                               gsparams=galsim.GSParams(folding_threshold=1e-2))
        return seen.drawImage(
            nx=self.stamp.shape[1], ny=self.stamp.shape[0], scale=self.pixel_scale,
            method="no_pixel", dtype=float).array

    def drawn_like(self, model, rng):
        """An image as it would have been observed here: cut to the footprint, with new noise.

        Parameters:
            model:  Without noise, through the PSF, shape [S, S].
            rng:    A numpy Generator.

        Returns:
            float64, shape [S, S].
        """
        return self.cut(model) + self.noise(rng)

    def cut(self, image, outside=0.0):
        """An image with ``outside`` in place of what is beyond the footprint."""
        return image if self.footprint is None else np.where(self.footprint, image, outside)

    def noise(self, rng):
        """New noise of the same level and correlation.

        Parameters:
            rng:    A numpy Generator.

        Returns:
            float64, shape [S, S].
        """
        shape = self.stamp.shape
        if self.noise_correlation is None:
            return self.noise_sigma * rng.standard_normal(shape)
        # Drawn on a larger periodic field and cut, so that opposite edges are independent.
        field = tuple(fft.next_fast_len(n + len(self.noise_correlation), real=True) for n in shape)
        white = fft.rfft2(rng.standard_normal(field))
        drawn = fft.irfft2(white * np.sqrt(self._noise_power(field)), field)
        return self.noise_sigma * drawn[:shape[0], :shape[1]]

    def smoothed_sigma(self, kernel):
        """Standard deviation of this noise after convolution with a kernel, shape [k, k], k odd."""
        if self.noise_correlation is None:
            return self.noise_sigma * float(np.sqrt((kernel**2).sum()))
        field = (128, 128)
        response = np.abs(fft.rfft2(kernel, field)) ** 2
        variance = fft.irfft2(response * self._noise_power(field), field)[0, 0]
        return self.noise_sigma * float(np.sqrt(variance))

    def _noise_power(self, field):
        """Power spectrum of noise of unit variance, on the grid of an rfft2 of this shape."""
        size = len(self.noise_correlation)
        correlation = np.zeros(field)
        correlation[:size, :size] = self.noise_correlation
        power = fft.rfft2(np.roll(correlation, (-(size // 2), -(size // 2)), (0, 1))).real
        # A correlation function that was cut off may have slightly negative power somewhere.
        power = np.clip(power, 0, None)
        return power / fft.irfft2(power, field)[0, 0]
