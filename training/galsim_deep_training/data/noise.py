"""Noise that is correlated between pixels: its correlation function, its power, fields of it.

Drizzled survey images have noise whose neighbouring pixels belong together.  It is stationary, so
all there is to know is its variance and its correlation function c(d), with c(0) = 1.
"""

__all__ = ["NoiseField", "POWER_FLOOR", "middle_of", "read_correlation", "relative_power",
           "resampled", "white"]

import galsim
import numpy as np
from galsim import GalSimConfigError
from scipy import fft

CORRELATION_SIZE = 33
"""Pixels on a side of the correlation functions that are kept.  That of drizzled ACS images is
below 0.01 from 4 pixels on."""

POWER_FLOOR = 0.01
"""Lowest `relative_power`, in units of white noise.  A likelihood divides by the power:
interpolated images have modes with next to none, where the smallest error of the model would
outweigh all that the others say."""


def white(size=CORRELATION_SIZE):
    """The correlation function of white noise, shape [C, C]."""
    correlation = np.zeros((size, size))
    correlation[size // 2, size // 2] = 1.0
    return correlation


def read_correlation(path, size=CORRELATION_SIZE):
    """Read a correlation function from a FITS image in the format of `galsim.getCOSMOSNoise`.

    Parameters:
        path:   The file.  Its image is odd, with the variance in the middle.
        size:   Pixels on a side to keep, odd.

    Returns:
        float64, shape [C, C], 1 in the middle and point symmetric.
    """
    try:
        image = galsim.fits.read(str(path)).array.astype(float)
    except OSError as err:
        raise GalSimConfigError(f"The noise correlation {path} cannot be read: {err}") from err
    if image.ndim != 2 or image.shape[0] != image.shape[1] or len(image) % 2 == 0:
        raise GalSimConfigError(f"The noise correlation {path} has the shape {image.shape}; it "
                                "should be square and odd, so that there is a middle pixel.")
    variance = image[len(image) // 2, len(image) // 2]
    if not (np.isfinite(image).all() and variance > 0 and variance == image.max()):
        raise GalSimConfigError(f"The noise correlation {path} does not have its maximum, the "
                                "variance, in the middle pixel.")
    return middle_of(image / variance, size)


def middle_of(correlation, size):
    """Cut a correlation function, or fill it up with zeros, to shape [size, size], size odd."""
    cut = np.zeros((size, size))
    both = min(size, len(correlation))
    here, there = (size - both) // 2, (len(correlation) - both) // 2
    cut[here:here + both, here:here + both] = correlation[there:there + both, there:there + both]
    # Estimated from images, it may be off the exact symmetry by rounding.
    return 0.5 * (cut + cut[::-1, ::-1])


def resampled(correlation, ratio, size):
    """The noise of an image that was interpolated onto other pixels.

    Where the new pixels lie between the old ones changes from pixel to pixel; this is the mean over
    all places.  With K the interpolant (GalSim's default, quintic) and c the correlation, it is
    sum_j c(j) (K * K)(d - j) at the separation d.

    Parameters:
        correlation:    In the old pixels, shape [C, C], C odd.
        ratio:          Size of the new pixels in units of the old ones.
        size:           Pixels on a side to keep, odd.

    Returns:
        (correlation, variance): in the new pixels, shape [size, size], 1 in the middle; and the
        variance relative to that in the old pixels, for values that are interpolated (not light
        per pixel).
    """
    fine = 32  # samples per old pixel
    x = np.arange(-3 * fine, 3 * fine + 1) / fine
    kernel = np.array([galsim.Quintic().xval(value) for value in x])
    twice = np.correlate(kernel, kernel, mode="full") / fine
    lags = np.arange(-6 * fine, 6 * fine + 1) / fine
    old = np.arange(len(correlation)) - len(correlation) // 2
    new = ratio * (np.arange(size) - size // 2)
    weights = np.interp(new[:, None] - old, lags, twice, left=0.0, right=0.0)
    found = weights @ correlation @ weights.T
    variance = found[size // 2, size // 2]
    return found / variance, float(variance)


def relative_power(correlation, size):
    """Power spectrum of the noise in a stamp, relative to white noise of the same variance.

    It is what ``|rfft2(noise)|^2 / (S^2 sigma^2)`` is on average.  A stamp is a cut out of a larger
    image: its opposite edges are independent, so that the correlation counts with the number of
    pairs of pixels, (1 - |dy|/S) (1 - |dx|/S).

    Parameters:
        correlation:    Shape [C, C], C odd.
        size:           Pixels on a side of the stamp, S.

    Returns:
        float32, shape [S, S//2+1]: the layout of `numpy.fft.rfft2`.  At least `POWER_FLOOR`; its
        mean over the full Fourier plane is 1.
    """
    lags = np.arange(len(correlation)) - len(correlation) // 2
    pairs = np.clip(1 - np.abs(lags) / size, 0, None)
    field = np.zeros((size, size))
    rows, columns = np.meshgrid(lags % size, lags % size, indexing="ij")
    np.add.at(field, (rows, columns), correlation * np.outer(pairs, pairs))
    full = np.clip(fft.fft2(field).real, 0, None)
    # The floor must hold after the norm: the two settle within a few rounds.
    for _ in range(20):
        full = np.maximum(full / full.mean(), POWER_FLOOR)
    return full[:, :size // 2 + 1].astype(np.float32)


class NoiseField:
    """Draws stamps of noise with a correlation function and unit variance.

    Parameters:
        correlation:    Shape [C, C], C odd.
        size:           Pixels on a side of a stamp.
    """

    def __init__(self, correlation, size):
        self._size = size
        self._white = np.array_equal(correlation, white(len(correlation)))
        # A periodic field is drawn and cut, so that opposite edges of the stamp are independent.
        self._field = fft.next_fast_len(size + len(correlation) // 2, real=True)
        lags = (np.arange(len(correlation)) - len(correlation) // 2) % self._field
        padded = np.zeros((self._field, self._field))
        padded[np.ix_(lags, lags)] = correlation
        power = np.clip(fft.rfft2(padded).real, 0, None)
        # A correlation function that was cut may have slightly negative power somewhere.
        power /= fft.irfft2(power, (self._field, self._field))[0, 0]
        self._root = np.sqrt(power).astype(np.float32)

    def draw(self, rng):
        """One stamp of noise, shape [S, S], float32; ``rng`` is a numpy Generator."""
        if self._white:
            return rng.standard_normal((self._size, self._size), np.float32)
        field = rng.standard_normal((self._field, self._field), np.float32)
        drawn = fft.irfft2(fft.rfft2(field) * self._root, field.shape)
        return drawn[:self._size, :self._size]
