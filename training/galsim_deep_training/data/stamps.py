"""Drawing profiles on pixels without aliasing, and observing them through PSF images."""

__all__ = ["Observer", "band_limited", "read_psfs"]

import os
from collections.abc import Iterable

import galsim
import numpy as np
from scipy import fft

from galsim_deep.observations.real_catalog import RealCatalog

TAPER = (0.85, 1.0)
"""Frequencies between which a profile is tapered to zero, in units of the Nyquist frequency.  The
optics of HST/ACS pass nothing above 0.85 of the Nyquist frequency of pixels of 0.03 arcsec."""


def band_limited(profile: galsim.GSObject, size: int, pixel_scale: float,
                 oversampling: int = 4) -> np.ndarray:
    """Sample a profile on pixels, without the frequencies that the pixels cannot represent.

    A profile with detail finer than two pixels is aliased when it is sampled at the centres of
    pixels: the samples depend on the position of the pixels, and their sum is not the flux.  Here
    the profile is drawn on a finer grid, tapered to zero close to the Nyquist frequency of each
    axis (`TAPER`), and then sampled.

    Parameters:
        profile:        A profile that can be drawn in real space and ends within the image.
        size:           Pixels on a side, S.
        pixel_scale:    Size of a pixel [arcsec].
        oversampling:   Points of the finer grid per pixel and axis.

    Returns:
        float64, shape [S, S], flux per pixel.  Sharp profiles have small negative rings.

    Example::

        >>> import galsim
        >>> image = band_limited(galsim.Gaussian(sigma=0.01, flux=3.0), 64, 0.03)
        >>> image.shape, round(float(image.sum()), 6)
        ((64, 64), 3.0)
    """
    fine_size = size * oversampling
    image = profile.drawImage(nx=fine_size, ny=fine_size, scale=pixel_scale / oversampling,
                              method="no_pixel", dtype=float).array
    ky, kx = fft.fftfreq(size), fft.rfftfreq(size)
    rows = np.rint(ky * size).astype(int) % fine_size
    # Only the modes of the coarse grid.
    spectrum = fft.rfft2(image)[rows, :len(kx)]
    # The centres of pixels lie between the points of the finer grid.
    shift = 0.5 * (oversampling - 1) / oversampling
    factors = [_taper(2 * np.abs(k)) * np.exp(2j * np.pi * k * shift) for k in (ky, kx)]
    return fft.irfft2(spectrum * np.outer(*factors), (size, size))


def _taper(frequency: np.ndarray) -> np.ndarray:
    """A raised cosine from 1 to 0 over `TAPER`; frequencies in units of the Nyquist frequency."""
    low, high = TAPER
    fraction = np.clip((frequency - low) / (high - low), 0, 1)
    return 0.5 * (1 + np.cos(np.pi * fraction))


class Observer:
    """Convolves profiles with PSF images in Fourier space, as the training does.

    Parameters:
        size:           Pixels on a side of the stamps, S.
        pixel_scale:    Size of a pixel [arcsec].
        psfs:           PSF images, centred on the middle pixel, shape [P, P] each, P odd.

    Example::

        >>> from galsim_deep.observations.psf import psf_image
        >>> observer = Observer(64, 0.03, [psf_image(galsim.Gaussian(fwhm=0.1), 33, 0.03)])
        >>> galaxy = galsim.Gaussian(sigma=0.1, flux=3.0)
        >>> truth, observed = observer.observe(galaxy, extent=0.6, psf=0)
        >>> observed.shape, round(float(observed.sum()), 2), bool(observed.max() < truth.max())
        ((64, 64), 3.0, True)
    """

    def __init__(self, size: int, pixel_scale: float, psfs: Iterable[np.ndarray]) -> None:
        self._size, self._scale = size, pixel_scale
        # The field is larger than the stamp: light from beyond the edge of the stamp is scattered
        # into it, and light that leaves it must not wrap around to the opposite edge.
        self._field = size + 2 * int(np.ceil(size / 8))
        self._small = self._field // 4 * 2 + self._field % 2
        self._psfs = [self._transform(psf) for psf in psfs]

    def _transform(self, psf: np.ndarray) -> np.ndarray:
        """The Fourier transform of a PSF [P, P] on the field, with the PSF about its corner."""
        lags = np.arange(len(psf)) - len(psf) // 2
        inside = np.abs(lags) < self._field / 2
        field = np.zeros((self._field, self._field))
        field[np.ix_(lags[inside], lags[inside])] = psf[np.ix_(inside, inside)]
        return fft.rfft2(field).astype(np.complex64)

    def observe(self, profile: galsim.GSObject, extent: float,
                psf: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw a profile before and after a PSF, without noise.

        Parameters:
            profile:    A profile that can be drawn in real space, about the true centre.
            extent:     Distance from the centre beyond which it has no light [arcsec].
            psf:        Number of the PSF.

        Returns:
            (truth, observed): the `band_limited` profile, and the same convolved with the PSF; both
            float64, shape [S, S], flux per pixel.
        """
        if extent < 0.45 * self._small * self._scale:
            # Small galaxies have finer detail, and fit into a smaller field.
            margin = (self._field - self._small) // 2
            truth = np.pad(band_limited(profile, self._small, self._scale, 4), margin)
        else:
            truth = band_limited(profile, self._field, self._scale, 2)
        observed = fft.irfft2(fft.rfft2(truth) * self._psfs[psf], truth.shape)
        corner = (self._field - self._size) // 2
        stamp = slice(corner, corner + self._size)
        return truth[stamp, stamp], observed[stamp, stamp]


def read_psfs(path: str | os.PathLike, size: int,
              pixel_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Read the PSFs and the noise levels of a `galsim.RealGalaxyCatalog`.

    Parameters:
        path:           The main file of the catalogue.
        size:           Pixels on a side of the PSF images, P, odd.
        pixel_scale:    Size of a pixel of these images [arcsec].

    Returns:
        (PSF images, float64 [K, P, P]; variances of the noise of their galaxies, float64 [K]).
        The PSFs of such catalogues are effective ones: they include the pixel response.

    Raises:
        galsim.GalSimError: if there is no such catalogue.
    """
    catalog = RealCatalog(path)
    images = np.stack([catalog.psf_image(row, size, pixel_scale) for row in range(len(catalog))])
    return images, np.asarray(catalog.galaxies.variance, float)
