"""Sources observed again through the PSFs of a survey, with their own PSF divided out.

A source has a narrow Gaussian in place of its own PSF (`sources.sharpened`).  The transformation
that turns it into another galaxy transforms this Gaussian too.  In Fourier space the drawn source
is multiplied by (PSF of the survey / transformed Gaussian).

Compared with the stamp of the source, no mode is amplified by more than `LARGEST_AMPLIFICATION`:
where the transformed PSF of the source is much wider than that of the survey, the detail is not
known, and is missing.  `Observer.largest_dilation` says how much a source may be enlarged without
that.
"""

__all__ = ["LARGEST_AMPLIFICATION", "Observer", "Transplant"]

import dataclasses
from collections.abc import Iterable

import numpy as np
from scipy import fft

from .sources.sharpened import LOWEST_TRANSFER
from .sources.source import Source
from .stamps import band_limited

LARGEST_AMPLIFICATION = 1.25
"""Largest factor by which a mode of the stamp of a source is amplified."""
NEEDED = 0.02
"""Modes of which the PSF of the survey passes less than this do not limit how much a source may be
enlarged.  HST/ACS passes 2 % at a wavelength of 0.1 arcsec."""
SAMPLING_MARGIN = 0.9
"""Highest frequency of a source that is used, in units of the Nyquist frequency of its stamp."""


@dataclasses.dataclass(frozen=True)
class Transplant:
    """A source as the survey observes it, without the survey's noise.

    Attributes:
        image:          Flux per pixel, float64 [S, S].
        leaked_power:   Power of the source's own noise in pixels in which all of it is left,
                        relative to white noise of unit variance, float64 [F, F//2 + 1], in the
                        layout of `numpy.fft.rfft2` for the larger field of the observer.
        leaked_share:   Share of that power in each pixel of the stamp, float64 [S, S].

    Example::

        >>> Transplant(np.zeros((64, 64)), np.zeros((80, 41)), np.zeros((64, 64))).image.shape
        (64, 64)
    """

    image: np.ndarray
    leaked_power: np.ndarray
    leaked_share: np.ndarray


class Observer:
    """Observes sources through PSF images.

    Parameters:
        size:           Pixels on a side of the stamps, S.
        pixel_scale:    Size of a pixel [arcsec].
        psfs:           PSF images, centred on the middle pixel, shape [P, P] each, P odd.

    Example, a galaxy half as large and turned by a quarter::

        >>> from galsim_deep.observations.collection import Collection
        >>> from galsim_deep_training.data.sources import prepared
        >>> collection = Collection("training/sources/real_galaxies.h5")
        >>> source = prepared(collection.galaxy("hudf-010"), weight=1.0)
        >>> observer = Observer(96, 0.03, collection.conditions("acs_f814w").psf[:1])
        >>> smaller = np.array([[0.0, -0.5], [0.5, 0.0]])
        >>> transplant = observer.observe(source, smaller, offset=(0.0, 0.0), flux=10.0, psf=0)
        >>> transplant.image.shape, bool(abs(transplant.image.sum() - 10.0) < 0.2)
        ((96, 96), True)
    """

    def __init__(self, size: int, pixel_scale: float, psfs: Iterable[np.ndarray]) -> None:
        self._size, self._scale = size, pixel_scale
        # The field is larger than the stamp: light from beyond the edge of the stamp is scattered
        # into it, and light that leaves it must not wrap around to the opposite edge.
        self.field = size + 2 * int(np.ceil(size / 8))
        self._small = self.field // 4 * 2 + self.field % 2
        self._psfs = [self._transform(psf) for psf in psfs]
        self._k = (fft.fftfreq(self.field, pixel_scale)[:, None],
                   fft.rfftfreq(self.field, pixel_scale)[None])

    def _transform(self, psf: np.ndarray) -> np.ndarray:
        """The Fourier transform of a PSF [P, P] on the field, with the PSF about its corner."""
        lags = np.arange(len(psf)) - len(psf) // 2
        inside = np.abs(lags) < self.field / 2
        field = np.zeros((self.field, self.field))
        field[np.ix_(lags[inside], lags[inside])] = psf[np.ix_(inside, inside)]
        return fft.rfft2(field).astype(np.complex64)

    def observe(self, source: Source, jacobian: np.ndarray, offset: tuple[float, float],
                flux: float, psf: int) -> Transplant:
        """Transform a source and draw it through a PSF of the survey.

        Parameters:
            source:     The source.
            jacobian:   The linear transformation from the sky of the source to that of the survey,
                        such as a rotation, shear or dilation, shape [2, 2], for vectors (x, y).
            offset:     Position of the centroid relative to the middle of the stamp (x, y)
                        [arcsec].
            flux:       Flux of the galaxy.
            psf:        Number of the PSF.

        Returns:
            a `Transplant`.
        """
        profile = source.profile.transform(*np.ravel(jacobian)).withFlux(flux).shift(*offset)
        largest, determinant = np.linalg.norm(jacobian, 2), abs(np.linalg.det(jacobian))
        extent = largest * source.extent + np.hypot(*offset)
        if extent < 0.45 * self._small * self._scale:
            # Small galaxies have finer detail, and fit into a smaller field.
            margin = (self.field - self._small) // 2
            drawn = np.pad(band_limited(profile, self._small, self._scale, 4), margin)
        else:
            drawn = band_limited(profile, self.field, self._scale, 2)
        # The frequency in the stamp of the source that becomes each frequency here.
        along_x = jacobian[0, 0] * self._k[1] + jacobian[1, 0] * self._k[0]
        along_y = jacobian[0, 1] * self._k[1] + jacobian[1, 1] * self._k[0]
        frequency = np.hypot(along_x, along_y)
        transfer = source.sharp.transfer_at(frequency)
        total = np.abs(self._psfs[psf]) / np.maximum(transfer, LOWEST_TRANSFER)
        limited = np.where(transfer > LOWEST_TRANSFER,
                           1 / np.maximum(1.0, total / LARGEST_AMPLIFICATION), 0.0)
        # Modes that are kept have a wide enough PSF for this not to overflow.
        gaussian = np.exp(-2 * np.square(np.pi * source.sharp.sigma * frequency).clip(0, 50))
        kernel = self._psfs[psf] / gaussian * limited
        image = self.cut(fft.irfft2(fft.rfft2(drawn) * kernel, drawn.shape))
        noise = source.noise
        # An image of noise that is enlarged has less power, spread over more pixels.
        power = noise.power_at(frequency) * np.square(
            flux * noise.sigma * np.abs(total * limited)) * (
                self._scale**2 / (noise.pixel_scale**2 * determinant))
        share = noise.profile.transform(*np.ravel(jacobian)).shift(*offset)
        drawn_share = share.drawImage(nx=self._size, ny=self._size, scale=self._scale,
                                      method="no_pixel", dtype=float).array
        # The transformation keeps the surface brightness, and so the share.
        return Transplant(image, power, np.square((drawn_share / self._scale**2).clip(0, 1)))

    def cut(self, field: np.ndarray) -> np.ndarray:
        """The stamp in the middle of a field, [F, F] -> [S, S]."""
        corner = (self.field - self._size) // 2
        stamp = slice(corner, corner + self._size)
        return field[stamp, stamp]

    def largest_dilation(self, source: Source, psf: int) -> float:
        """How much a source may be enlarged, so that all detail that the survey resolves is known.

        Up to this dilation no mode that the survey passes is amplified by more than
        `LARGEST_AMPLIFICATION`, or lies beyond the Nyquist frequency of the source.

        Parameters:
            source:     The source.
            psf:        Number of the PSF.

        Returns:
            the dilation.
        """
        passed, frequency = np.abs(self._psfs[psf]), np.hypot(*self._k)
        needed = passed > NEEDED
        passed, frequency = passed[needed], frequency[needed]
        low = 0.01
        high = SAMPLING_MARGIN * source.sharp.frequencies[-1] / frequency.max()

        def stable(dilation: float) -> bool:
            transfer = source.sharp.transfer_at(dilation * frequency)
            return bool(np.all(passed <= LARGEST_AMPLIFICATION * np.maximum(
                transfer, LOWEST_TRANSFER)))

        if stable(high):
            return high
        while high - low > 1e-3 * high:
            middle = np.sqrt(low * high)
            low, high = (middle, high) if stable(middle) else (low, middle)
        return low
