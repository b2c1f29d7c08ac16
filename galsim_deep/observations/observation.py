"""One observed galaxy, and how another profile would be observed under the same conditions."""

__all__ = ["Observation"]

import dataclasses
import functools

import galsim
import numpy as np

from .clipping import clipped
from .filling import filled
from .noise import NoiseField, smoothed_variance


@dataclasses.dataclass(frozen=True)
class Observation:
    """A real galaxy with everything that is needed to draw another one under the same conditions.

    Attributes:
        number:             Its index in the sample.
        stamp:              The observed stamp, shape [S, S], flux per pixel; rows are y.
        psf:                The effective PSF (pixel response included), shape [P, P], P odd,
                            centred on the middle pixel, unit sum, in pixels of the stamp.
        pixel_scale:        Size of a pixel [arcsec].
        noise_sigma:        Standard deviation of the noise in a pixel; NaN if it is not known.
        columns:            Catalogue columns of the module, {name: value}.
        noise_correlation:  Correlation function of the noise (see
                            `galsim_deep.observations.noise`), shape [C, C], C odd; None for white
                            noise.
        footprint:          The pixels that were really observed, bool [S, S]; None for all of
                            them.  Beyond the footprint the stamp was padded with noise, so that
                            the light of the galaxy ends at the edge of the footprint.
        source:             Number of the galaxy that the stamp was made from.  Stamps of the same
                            source are not independent of each other.
        noiseless:          The stamp without noise, shape [S, S], if it is known.
        clipping:           (threshold, peak) of `galsim_deep.observations.clipping`, if the stamp
                            was clipped; None otherwise.
        usable:             False for pixels with a neighbour or a defect, bool [S, S]; None if
                            there are none.  They were filled in (by `filling.filled`), and are in
                            any other galaxy that is drawn here.
        offset:             Position (x, y) of the galaxy from the true centre of the stamp
                            [pixels].
        photon_variance:    Variance that a pixel of unit flux adds to the noise by its photons.
        extent:             Radius of the region with light [pixels]; None if it is not known.
        zero_point:         AB magnitude of unit flux; None if it is not known.

    Example::

        >>> import galsim
        >>> import numpy as np
        >>> psf = np.zeros((3, 3))
        >>> psf[1, 1] = 1.0
        >>> observation = Observation(number=0, stamp=np.zeros((32, 32)), psf=psf,
        ...                           pixel_scale=0.03, noise_sigma=0.1, columns={})
        >>> model = observation.convolved(galsim.Gaussian(sigma=0.1, flux=5.0))
        >>> round(float(model.sum()), 2)
        5.0
        >>> observation.drawn_like(model, np.random.default_rng(1)).shape
        (32, 32)
    """

    number: int
    stamp: np.ndarray
    psf: np.ndarray
    pixel_scale: float
    noise_sigma: float
    columns: dict[str, float]
    noise_correlation: np.ndarray | None = None
    footprint: np.ndarray | None = None
    source: int = 0
    noiseless: np.ndarray | None = None
    clipping: tuple[float, float] | None = None
    usable: np.ndarray | None = None
    offset: tuple[float, float] = (0.0, 0.0)
    photon_variance: float = 0.0
    extent: float | None = None
    zero_point: float | None = None

    @functools.cached_property
    def psf_profile(self) -> galsim.InterpolatedImage:
        """The PSF as a `galsim.InterpolatedImage` of unit flux."""
        return galsim.InterpolatedImage(
            galsim.Image(np.asarray(self.psf, float), scale=self.pixel_scale), flux=1.0)

    def convolved(self, profile: galsim.GSObject) -> np.ndarray:
        """Draw a profile through the PSF of this observation, without noise.

        Parameters:
            profile:    A GSObject, before PSF and pixel.

        Returns:
            float64, shape [S, S], flux per pixel.
        """
        observed = galsim.Convolve(profile, self.psf_profile,
                                   gsparams=galsim.GSParams(folding_threshold=1e-2))
        return observed.drawImage(
            nx=self.stamp.shape[1], ny=self.stamp.shape[0], scale=self.pixel_scale,
            method="no_pixel", dtype=float, offset=self.offset).array

    def drawn_like(self, model: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An image as it would have been observed here.

        The model is cut to the footprint, new noise is added, pixels that are not usable are filled
        in, and the result is clipped if this observation was.

        Parameters:
            model:  The image through the PSF, without noise, shape [S, S].
            rng:    The random numbers of the noise.

        Returns:
            float64, shape [S, S].
        """
        noise = self.noise(rng)
        if self.photon_variance > 0:
            # The photons of the galaxy are noise of the same correlation: both pass the same
            # resampling.
            noise = noise * np.sqrt(
                1 + self.photon_variance * np.clip(model, 0, None) / self.noise_sigma**2)
        image = self.cut(model) + noise
        if self.usable is not None:
            image = filled(image, self.usable, self.offset)
        return image if self.clipping is None else clipped(image, self.noise_sigma, *self.clipping)

    def cut(self, image: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """An image [S, S] with the value ``outside`` in all pixels beyond the footprint."""
        return image if self.footprint is None else np.where(self.footprint, image, outside)

    def known(self, image: np.ndarray) -> np.ndarray:
        """An image [S, S] with NaN in the pixels that were not observed or are not usable."""
        image = self.cut(image, np.nan)
        return image if self.usable is None else np.where(self.usable, image, np.nan)

    def noise(self, rng: np.random.Generator) -> np.ndarray:
        """Draw noise of the level and correlation of this observation.

        Parameters:
            rng:    The random numbers.

        Returns:
            float64, shape [S, S].
        """
        correlation = self.noise_correlation
        # The margin is wider than needed; another one would change the noise of every validation.
        margin = None if correlation is None else len(correlation)
        return self.noise_sigma * NoiseField(
            correlation, self.stamp.shape, margin, np.float64).draw(rng)

    def smoothed_sigma(self, kernel: np.ndarray) -> float:
        """Standard deviation of the noise after convolution with a kernel.

        Parameters:
            kernel:     Shape [k, k], k odd.

        Returns:
            the standard deviation, in the unit of the stamp.
        """
        return self.noise_sigma * float(np.sqrt(
            smoothed_variance(self.noise_correlation, kernel)))
