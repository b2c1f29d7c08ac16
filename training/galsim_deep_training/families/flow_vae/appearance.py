"""Summary statistics of light profiles, with gradients, for the comparison of two samples.

They resemble the statistics of a validation (`galsim_deep.validation`), but are measured on light
profiles without PSF and noise, with apertures and weights scaled to the catalogue size instead of a
fitted one.
"""

__all__ = ["NAMES", "appearance"]

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ...physics.likelihood import column_multiplicity

WAVELENGTHS = tuple(np.geomspace(10 / 3, 50 / 3, 5))
"""Edges of the bins of small-scale power [pixels]: 0.1" to 0.5" for pixels of 0.03"."""
WEIGHT_SIGMAS = 0.7, 1.5
"""Sigmas of the Gaussian weights of second moments [half-light radii]."""
APERTURES = 0.35, 0.7, 1.5, 2.5
"""Radii of the circular apertures [half-light radii]."""
_BLUR = 1.7
"""Sigma of the Gaussian that smooths profiles before moments are measured [pixels], to imitate a
PSF."""

NAMES = ("peak", *(f"power_{n}" for n in range(4)), *(f"asymmetry_{n}" for n in range(4)),
         *(f"{name}_{sigma:g}" for sigma in WEIGHT_SIGMAS for name in ("size", "ellipticity")),
         *(f"inside_{radius:g}" for radius in APERTURES))
"""Names of the statistics, in their order."""


def appearance(profiles: tf.Tensor, radius: tf.Tensor) -> tf.Tensor:
    """Measure summary statistics of light profiles.

    Parameters:
        profiles:   Light profiles before PSF and pixel, centred on the stamp, [N, S, S], S even.
        radius:     Half-light radius according to the catalogue [pixels], [N].

    Returns:
        statistics in the order of `NAMES`, [N, 17]: the logarithm of the peak over the mean surface
        brightness; the logarithm of the power in each bin of wavelength, of the light and of its
        part that is antisymmetric about the centre; the logarithm of the size and the ellipticity
        from weighted second moments, for each weight; the logit of the fraction of light within
        each aperture.

    >>> statistics = appearance(tf.ones([2, 32, 32]), tf.constant([3.0, 4.0]))
    >>> statistics.shape == (2, len(NAMES))
    True
    """
    profiles /= tf.reduce_sum(profiles, axis=[1, 2], keepdims=True)
    spectrum = tf.signal.rfft2d(profiles)
    antisymmetric = tf.signal.rfft2d(0.5 * (profiles - tf.reverse(profiles, axis=[1, 2])))
    smoothed = _smoothed(spectrum, profiles.shape[1])
    distance, x, y = _coordinates(profiles.shape[1])
    radius = radius[:, None, None]
    statistics = [_log_peak(profiles) + 2 * tf.math.log(radius[:, 0, 0]),
                  *_log_powers(spectrum), *_log_powers(antisymmetric)]
    for sigma in WEIGHT_SIGMAS:
        weighted = smoothed * tf.exp(-0.5 * tf.square(distance / (sigma * radius)))
        total, xx, yy, xy = (
            tf.reduce_sum(weighted * factor, axis=[1, 2]) for factor in (1.0, x * x, y * y, x * y))
        trace = xx + yy
        statistics += [
            tf.math.log(trace / total) - 2 * tf.math.log(radius[:, 0, 0]),
            # The small number keeps the gradient finite for round galaxies.
            tf.sqrt(tf.square((xx - yy) / trace) + tf.square(2 * xy / trace) + 1e-4)]
    for aperture in APERTURES:
        inside = tf.reduce_sum(
            profiles * tf.sigmoid(2 * (aperture * radius - distance)), axis=[1, 2])
        inside = tf.clip_by_value(inside, 1e-3, 1 - 1e-3)
        statistics.append(tf.math.log(inside / (1 - inside)))
    return tf.stack(statistics, axis=-1)


def _log_peak(profiles: tf.Tensor) -> tf.Tensor:
    """Logarithm of the largest mean over two by two pixels, [N]."""
    return tf.math.log(tf.reduce_max(tf.nn.avg_pool2d(
        profiles[..., None], 2, 1, "VALID"), axis=[1, 2, 3]))


def _log_powers(spectrum: tf.Tensor) -> list[tf.Tensor]:
    """Logarithm of the mean power in each bin of wavelength, [N] each."""
    size = spectrum.shape[1]
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    multiplicity = column_multiplicity(size)
    power, log_powers = tf.square(tf.abs(spectrum)), []
    for longest, shortest in zip(WAVELENGTHS[1:], WAVELENGTHS, strict=False):
        weight = multiplicity * ((frequency > 1 / longest) & (frequency <= 1 / shortest))
        mean = tf.einsum("nij,ij->n", power, weight / weight.sum())
        log_powers.append(tf.math.log(mean + 1e-9))
    return log_powers


def _smoothed(spectrum: tf.Tensor, size: int) -> tf.Tensor:
    """Images [N, S, S] of `rfft2` spectra, convolved with a Gaussian."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    transfer = np.exp(-2 * (np.pi * _BLUR * frequency) ** 2)
    return tf.signal.irfft2d(spectrum * transfer.astype(np.complex64), fft_length=[size, size])


def _coordinates(size: int) -> tuple[NDArray, NDArray, NDArray]:
    """Distance of each pixel from the centre of the stamp [S, S], x [1, S] and y [S, 1]."""
    axis = (np.arange(size) - 0.5 * (size - 1)).astype(np.float32)
    return np.hypot(axis[:, None], axis), axis[None, :], axis[:, None]
