"""Drawing profiles on pixels without aliasing."""

__all__ = ["band_limited"]

import galsim
import numpy as np
from scipy import fft

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
