"""Noise that is correlated between pixels: correlation functions, power spectra, random fields.

Drizzled survey images have noise that is correlated between neighbouring pixels.  The noise of a
stamp is taken to be stationary and Gaussian: it is described by its variance and by its correlation
function c(d), with c(0) = 1, where d is the separation of two pixels.

Correlation functions are arrays of shape [C, C], C odd: the middle pixel is the separation zero,
and rows are separations in y.  Validation and training draw their noise with `NoiseField`.
"""

__all__ = ["CORRELATION_SIZE", "POWER_FLOOR", "NoiseField", "periodic_power", "read_correlation",
           "relative_power", "resampled_correlation", "resized_correlation", "smoothed_variance",
           "white_correlation"]

import os
from typing import Any

import galsim
import numpy as np
from galsim import GalSimConfigError
from numpy.typing import ArrayLike
from scipy import fft

CORRELATION_SIZE = 33
"""Pixels on a side of the correlation functions that are kept.  The correlation of drizzled HST/ACS
images is below 0.01 from a separation of 4 pixels on."""

POWER_FLOOR = 0.01
"""Smallest `relative_power`, in units of white noise.  A likelihood divides by the power.  Modes
with almost no noise occur in interpolated images; without a floor, the smallest error of the model
in these modes would outweigh all other modes."""


def white_correlation(size: int = CORRELATION_SIZE) -> np.ndarray:
    """The correlation function of white noise.

    Parameters:
        size:   Pixels on a side C, odd.

    Returns:
        float64, shape [C, C]: 1 in the middle pixel and 0 elsewhere.
    """
    correlation = np.zeros((size, size))
    correlation[size // 2, size // 2] = 1.0
    return correlation


def read_correlation(path: str | os.PathLike, size: int = CORRELATION_SIZE) -> np.ndarray:
    """Read a correlation function from a FITS image in the format of `galsim.getCOSMOSNoise`.

    Parameters:
        path:   The file.  Its image is odd, with the variance in the middle pixel.
        size:   Pixels on a side C to keep, odd.

    Returns:
        float64, shape [C, C], 1 in the middle and point symmetric.

    Raises:
        galsim.GalSimConfigError: if the file cannot be read, or is no correlation function.
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
    return resized_correlation(image / variance, size)


def resized_correlation(correlation: np.ndarray, size: int) -> np.ndarray:
    """Cut a correlation function to another size, or pad it with zeros.

    Parameters:
        correlation:    Shape [C, C], C odd.
        size:           Pixels on a side of the result, odd.

    Returns:
        float64, shape [size, size], point symmetric.
    """
    resized = np.zeros((size, size))
    common = min(size, len(correlation))
    to, start = (size - common) // 2, (len(correlation) - common) // 2
    resized[to:to + common, to:to + common] = correlation[start:start + common,
                                                          start:start + common]
    # A correlation that was estimated from images may be asymmetric by rounding.
    return 0.5 * (resized + resized[::-1, ::-1])


def resampled_correlation(correlation: np.ndarray, ratio: float,
                          size: int) -> tuple[np.ndarray, float]:
    """The correlation of the noise in an image that was interpolated onto other pixels.

    The position of a new pixel among the old ones changes from pixel to pixel; the result is the
    mean over all positions.  With K the interpolant (GalSim's default, quintic) and c the
    correlation in the old pixels, it is sum_j c(j) (K * K)(d - j) at the separation d.

    Parameters:
        correlation:    In the old pixels, shape [C, C], C odd.
        ratio:          Size of the new pixels in units of the old ones.
        size:           Pixels on a side of the result, odd.

    Returns:
        (correlation, variance): in the new pixels, float64 [size, size], 1 in the middle; and the
        variance relative to that in the old pixels, for values that are interpolated (surface
        brightness, not flux per pixel).
    """
    samples_per_pixel = 32
    x = np.arange(-3 * samples_per_pixel, 3 * samples_per_pixel + 1) / samples_per_pixel
    kernel = np.array([galsim.Quintic().xval(value) for value in x])
    autocorrelation = np.correlate(kernel, kernel, mode="full") / samples_per_pixel
    lags = np.arange(-6 * samples_per_pixel, 6 * samples_per_pixel + 1) / samples_per_pixel
    old = np.arange(len(correlation)) - len(correlation) // 2
    new = ratio * (np.arange(size) - size // 2)
    weights = np.interp(new[:, None] - old, lags, autocorrelation, left=0.0, right=0.0)
    covariance = weights @ correlation @ weights.T
    variance = covariance[size // 2, size // 2]
    return covariance / variance, float(variance)


def relative_power(correlation: np.ndarray, size: int) -> np.ndarray:
    """Power spectrum of the noise in a stamp, relative to white noise of the same variance.

    It is the expectation of ``|rfft2(noise)|^2 / (S^2 sigma^2)``.  A stamp is cut out of a larger
    image, so that its opposite edges are independent.  The correlation at the separation (dy, dx)
    is therefore weighted with the number of pairs of pixels in the stamp that have it,
    (1 - |dy|/S) (1 - |dx|/S).

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
    power = np.clip(fft.fft2(field).real, 0, None)
    # Normalising moves values below the floor again; this converges within a few iterations.
    for _ in range(20):
        power = np.maximum(power / power.mean(), POWER_FLOOR)
    return power[:, :size // 2 + 1].astype(np.float32)


def periodic_power(correlation: np.ndarray, field: tuple[int, int]) -> np.ndarray:
    """Power spectrum of noise of unit variance on a periodic field.

    Parameters:
        correlation:    Shape [C, C], C odd.
        field:          Shape (rows, columns) of the field, at least C on either side.

    Returns:
        float64, shape [rows, columns//2+1]: the layout of `numpy.fft.rfft2`.  Modes at
        which a truncated correlation function has negative power are zero.
    """
    lags = np.arange(len(correlation)) - len(correlation) // 2
    periodic = np.zeros(field)
    periodic[np.ix_(lags % field[0], lags % field[1])] = correlation
    power = np.clip(fft.rfft2(periodic).real, 0, None)
    return power / fft.irfft2(power, field)[0, 0]


class NoiseField:
    """Draws stamps of Gaussian noise with a correlation function and unit variance.

    A periodic field that is larger than the stamp is drawn in Fourier space and cut, so that
    opposite edges of the stamp are independent.

    Parameters:
        correlation:    Shape [C, C], C odd, 1 in the middle; None for white noise.
        shape:          Shape of a stamp (rows, columns); one number for a square stamp.
        margin:         Pixels by which the periodic field is larger than the stamp, at least C//2.
                        Another margin gives other random numbers.  [default: C//2]
        dtype:          Type of the random numbers, float32 or float64.

    Example::

        >>> import numpy as np
        >>> field = NoiseField(white_correlation(5), 64)
        >>> noise = field.draw(np.random.default_rng(1))
        >>> noise.shape, noise.dtype
        ((64, 64), dtype('float32'))
        >>> bool(0.97 < noise.std() < 1.03)
        True
    """

    def __init__(self, correlation: np.ndarray | None, shape: int | tuple[int, ...],
                 margin: int | None = None,
                 dtype: type[np.float32] | type[np.float64] = np.float32) -> None:
        rows, columns = shape if isinstance(shape, tuple) else (shape, shape)
        self._shape = rows, columns
        self._dtype: Any = dtype
        self._root: np.ndarray | None = None
        if correlation is None or np.array_equal(correlation, white_correlation(len(correlation))):
            return
        margin = len(correlation) // 2 if margin is None else margin
        self._field = (fft.next_fast_len(rows + margin, real=True),
                       fft.next_fast_len(columns + margin, real=True))
        self._root = np.sqrt(periodic_power(correlation, self._field)).astype(self._dtype)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one stamp of noise.

        Parameters:
            rng:    The random numbers.

        Returns:
            one stamp of the requested shape and dtype, with mean 0 and variance 1.
        """
        if self._root is None:
            return rng.standard_normal(self._shape, self._dtype)
        white = rng.standard_normal(self._field, self._dtype)
        noise = fft.irfft2(fft.rfft2(white) * self._root, self._field)
        return noise[:self._shape[0], :self._shape[1]]


def smoothed_variance(correlation: np.ndarray | None, kernel: ArrayLike) -> float:
    """Variance of noise of unit variance after convolution with a kernel.

    Parameters:
        correlation:    Shape [C, C], C odd; None for white noise.
        kernel:         Shape [k, k].
    """
    kernel = np.asarray(kernel, float)
    if correlation is None:
        return float((kernel**2).sum())
    # Large enough that the autocorrelation of the kernel does not wrap around.
    side = max(128, fft.next_fast_len(max(kernel.shape) + len(correlation) // 2, real=True))
    response = np.abs(fft.rfft2(kernel, (side, side))) ** 2
    return float(fft.irfft2(response * periodic_power(correlation, (side, side)),
                            (side, side))[0, 0])
