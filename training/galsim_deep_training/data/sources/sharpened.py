"""Images with their own PSF replaced by a narrower, round Gaussian.

A source that is observed again is convolved with (PSF of the survey / PSF of the source): its own
PSF is divided out.  This is done in two steps, so that most of the work is done once for each
source.  First the PSF of the source is replaced by a Gaussian that is narrower (`sharpened`).  This
amplifies noise, but the image is only an intermediate result.  Then the sharp image is transformed,
drawn on the pixels of the survey, and convolved with (PSF of the survey / transformed Gaussian),
whose Fourier transform is known exactly (`data.observer`).
"""

__all__ = ["Sharp", "radial_mean", "sharpened", "transfer_function"]

import dataclasses

import numpy as np
from scipy import fft

NARROWER = 0.6
"""Width of the Gaussian in units of that of the PSF."""
LOWEST_TRANSFER = 0.01
"""Modes for which the transfer function of the PSF is below this are set to zero.  The survey's PSF
passes nothing of them, if the source is small enough to be used."""
UPSAMPLING = 2
"""The sharp image has this many pixels for each one of the stamp along each axis, so that it can be
interpolated without losses."""
TABLE_SIZE = 64
"""Number of frequencies at which `Sharp.transfer` is known."""


@dataclasses.dataclass(frozen=True)
class Sharp:
    """An image whose PSF is a round Gaussian.

    Attributes:
        image:          Flux per pixel, float32 [t, t].
        pixel_scale:    Size of its pixels [arcsec].
        sigma:          Standard deviation of its PSF [arcsec].
        frequencies:    At which ``transfer`` is known, from zero to the Nyquist frequency of the
                        stamp [1/arcsec], float64 [m].
        transfer:       Transfer function of the PSF of the stamp, averaged over directions,
                        float64 [m].

    Example::

        >>> psf = galsim.Gaussian(fwhm=3.0)
        >>> stamp = galsim.Convolve(psf, galsim.Exponential(half_light_radius=5.0)).drawImage(
        ...     nx=64, ny=64, scale=1.0, method="no_pixel").array
        >>> psf_image = psf.drawImage(nx=17, ny=17, scale=1.0, method="no_pixel").array
        >>> sharp = sharpened(stamp, 1.0, psf_image / psf_image.sum(), 1.0)
        >>> sharp.image.shape, sharp.pixel_scale, round(sharp.sigma * 2.355, 1)
        ((128, 128), 0.5, 1.8)
    """

    image: np.ndarray
    pixel_scale: float
    sigma: float
    frequencies: np.ndarray
    transfer: np.ndarray

    def transfer_at(self, frequency: np.ndarray) -> np.ndarray:
        """`transfer` at frequencies [1/arcsec]; zero beyond the Nyquist frequency of the stamp."""
        return np.interp(frequency, self.frequencies, self.transfer, right=0.0)

    def amplification(self, frequency: np.ndarray) -> np.ndarray:
        """How much ``image`` amplifies the stamp at frequencies [1/arcsec]."""
        transfer = self.transfer_at(frequency)
        gaussian = np.exp(-2 * np.square(np.pi * self.sigma * frequency))
        return np.where(transfer > LOWEST_TRANSFER,
                        gaussian / np.maximum(transfer, LOWEST_TRANSFER), 0.0)


def sharpened(stamp: np.ndarray, pixel_scale: float, psf: np.ndarray, psf_scale: float) -> Sharp:
    """Replace the PSF of an image by a narrower Gaussian.

    Parameters:
        stamp:          Flux per pixel, zero at its borders, shape [s, s], s even.
        pixel_scale:    Size of its pixels [arcsec].
        psf:            The PSF, pixel response included, in its own pixels, shape [P, P], P odd,
                        centred on the middle pixel, of unit sum.
        psf_scale:      Size of the pixels of the PSF [arcsec].

    Returns:
        a `Sharp` image of the same field.
    """
    size = len(stamp)
    ky, kx = fft.fftfreq(size, pixel_scale), fft.rfftfreq(size, pixel_scale)
    transfer = transfer_function(psf, psf_scale, ky, kx)
    frequency = np.hypot(ky[:, None], kx)
    edges = np.linspace(0, 0.5 / pixel_scale, TABLE_SIZE + 1)
    frequencies, mean = radial_mean(np.abs(transfer), frequency, edges)
    sigma = NARROWER * _width(frequencies, mean)
    passed = np.abs(transfer) > LOWEST_TRANSFER
    gaussian = np.exp(-2 * np.square(np.pi * sigma * frequency))
    ratio = np.where(passed, gaussian / np.where(passed, transfer, 1.0), 0.0)
    spectrum = fft.rfft2(stamp) * ratio
    # The highest frequency of an even number of pixels has no sign, and could not be interpolated.
    spectrum[size // 2], spectrum[:, -1] = 0.0, 0.0
    fine = UPSAMPLING * size
    padded = np.zeros((fine, fine // 2 + 1), complex)
    half = size // 2
    padded[:half, :half + 1] = spectrum[:half]
    padded[-half:, :half + 1] = spectrum[-half:]
    # The first pixel of the stamp is centred between several pixels of the finer image.
    shift = 0.5 * (UPSAMPLING - 1) / UPSAMPLING * pixel_scale
    fine_ky = fft.fftfreq(fine, pixel_scale / UPSAMPLING)
    fine_kx = fft.rfftfreq(fine, pixel_scale / UPSAMPLING)
    padded *= np.outer(np.exp(-2j * np.pi * shift * fine_ky), np.exp(-2j * np.pi * shift * fine_kx))
    image = fft.irfft2(padded, (fine, fine))
    return Sharp(image=image.astype(np.float32), pixel_scale=pixel_scale / UPSAMPLING, sigma=sigma,
                 frequencies=frequencies, transfer=mean)


def transfer_function(psf: np.ndarray, psf_scale: float, ky: np.ndarray,
                      kx: np.ndarray) -> np.ndarray:
    """Fourier transform of a PSF about its middle pixel.

    Parameters:
        psf:        Shape [P, P], P odd.
        psf_scale:  Size of its pixels [arcsec].
        ky, kx:     Frequencies along the axes [1/arcsec], shapes [m] and [n].

    Returns:
        complex128 [m, n].

    Example::

        >>> psf = np.full((3, 3), 1 / 9)
        >>> transfer_function(psf, 1.0, np.zeros(1), np.array([0.0, 1 / 3])).real.round(6) + 0.0
        array([[1., 0.]])
    """
    lags = psf_scale * (np.arange(len(psf)) - len(psf) // 2)
    rows, columns = (np.exp(-2j * np.pi * np.outer(k, lags)) for k in (ky, kx))
    return rows @ psf @ columns.T


def radial_mean(values: np.ndarray, frequency: np.ndarray,
                edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies, means over directions) of values in rings between ``edges``."""
    ring = np.digitize(frequency.ravel(), edges) - 1
    count = np.bincount(ring, minlength=len(edges))[:len(edges) - 1]
    means, middles = (np.bincount(ring, weights.ravel(), minlength=len(edges))[:len(edges) - 1]
                      / np.maximum(count, 1) for weights in (values, frequency))
    return middles[count > 0], means[count > 0]


def _width(frequencies: np.ndarray, transfer: np.ndarray) -> float:
    """Sigma of the Gaussian whose transfer function falls to a half where that of the PSF does.

    If that does not happen below the last frequency, the Gaussian has the PSF's value there.
    """
    below = np.flatnonzero(transfer < 0.5)
    level, where = 0.5, frequencies[-1]
    if len(below):
        last = below[0]
        fraction = (transfer[last - 1] - 0.5) / (transfer[last - 1] - transfer[last])
        where = frequencies[last - 1] + fraction * (frequencies[last] - frequencies[last - 1])
    else:
        level = transfer[-1]
    return float(np.sqrt(-0.5 * np.log(level)) / (np.pi * where))
