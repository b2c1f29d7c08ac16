"""Drawings and readings that the data builders share."""

__all__ = ["Observer", "band_limited", "psf_image", "read_psfs"]

import numpy as np
from scipy import fft

from galsim_deep.real_catalog import RealCatalog

TAPER = (0.85, 1.0)
"""Frequencies between which a profile is faded out, in units of the Nyquist frequency.  ACS itself
passes nothing beyond 0.85 of that of pixels of 0.03 arcsec."""


def band_limited(profile, size, pixel_scale, oversampling=4):
    """A profile without what is too fine for the pixels.

    Sampled at the centres of pixels, a profile with detail finer than two of them is aliased: what
    comes out depends on where the pixels happen to lie, and its sum is not the flux.  Here the
    profile is drawn finely, faded out close to the Nyquist frequency of each axis, and then
    sampled.

    Parameters:
        profile:        A GSObject that can be drawn in real space, and ends within the image.
        size:           Pixels on a side, S.
        pixel_scale:    Size of a pixel [arcsec].
        oversampling:   Points per pixel and axis that the profile is drawn with at first.

    Returns:
        float64, shape [S, S], flux per pixel.  Sharp profiles have small negative rings.
    """
    fine = size * oversampling
    image = profile.drawImage(nx=fine, ny=fine, scale=pixel_scale / oversampling,
                              method="no_pixel", dtype=float).array
    ky, kx = fft.fftfreq(size), fft.rfftfreq(size)
    rows = np.rint(ky * size).astype(int) % fine
    # What is kept of it: the modes of the coarse grid.
    spectrum = fft.rfft2(image)[rows, :len(kx)]
    # The centres of pixels lie between the fine points.
    shift = 0.5 * (oversampling - 1) / oversampling
    fade = [_fade(2 * np.abs(k)) * np.exp(2j * np.pi * k * shift) for k in (ky, kx)]
    return fft.irfft2(spectrum * np.outer(*fade), (size, size))


def _fade(frequency):
    """1 below, 0 above the `TAPER`, a raised cosine between; in units of the Nyquist frequency."""
    low, high = TAPER
    along = np.clip((frequency - low) / (high - low), 0, 1)
    return 0.5 * (1 + np.cos(np.pi * along))


class Observer:
    """Sees profiles through PSFs that are known as images: in Fourier space, as the fit does.

    Parameters:
        size:           Pixels on a side of the stamps, S.
        pixel_scale:    Size of a pixel [arcsec].
        psfs:           PSF images, centred on the middle pixel, shape [K, P, P], P odd.
    """

    def __init__(self, size, pixel_scale, psfs):
        self._size, self._scale = size, pixel_scale
        # A field with a margin: light from beyond the edge of the stamp is scattered into it, and
        # does not come back in on the other side.
        self._field = size + 2 * int(np.ceil(size / 8))
        self._small = self._field // 4 * 2 + self._field % 2
        self._psfs = [self._transform(psf) for psf in psfs]

    def _transform(self, psf):
        lags = np.arange(len(psf)) - len(psf) // 2
        inside = np.abs(lags) < self._field / 2
        field = np.zeros((self._field, self._field))
        field[np.ix_(lags[inside], lags[inside])] = psf[np.ix_(inside, inside)]
        return fft.rfft2(field).astype(np.complex64)

    def observe(self, profile, extent, psf):
        """Draw a profile before and behind a PSF, without noise.

        Parameters:
            profile:    A GSObject that can be drawn in real space, about the true centre.
            extent:     Beyond that distance from the centre it has no light [arcsec].
            psf:        Number of the PSF.

        Returns:
            (truth, observed): the `band_limited` profile, and the same through the PSF; both
            float64, shape [S, S].
        """
        if extent < 0.45 * self._small * self._scale:
            # Small galaxies hold finer detail, in less space.
            margin = (self._field - self._small) // 2
            truth = np.pad(band_limited(profile, self._small, self._scale, 4), margin)
        else:
            truth = band_limited(profile, self._field, self._scale, 2)
        observed = fft.irfft2(fft.rfft2(truth) * self._psfs[psf], truth.shape)
        corner = (self._field - self._size) // 2
        cut = slice(corner, corner + self._size)
        return truth[cut, cut], observed[cut, cut]


def psf_image(psf, size, pixel_scale):
    """Sample a PSF, centred on the middle pixel of an odd stamp: shape [P, P], unit sum."""
    image = psf.drawImage(nx=size, ny=size, scale=pixel_scale, method="no_pixel", dtype=float)
    return image.array / image.array.sum()


def read_psfs(catalog, size, pixel_scale):
    """Read all PSFs of a RealGalaxyCatalog.

    Parameters:
        catalog:        The path of its main file.
        size:           Pixels on a side of the images, P.
        pixel_scale:    Of the images [arcsec].

    Returns:
        (images, variances): the PSFs, shape [K, P, P], and the variances of the noise of their
        galaxies, shape [K].  The PSFs of such catalogues are effective ones: they include the pixel
        response.

    Raises a `galsim.GalSimError` where there is no such catalogue.
    """
    catalog = RealCatalog(catalog).galaxies
    images = np.stack([psf_image(catalog.getPSF(i), size, pixel_scale)
                       for i in range(catalog.nobjects)])
    return images, np.asarray(catalog.variance, float)
