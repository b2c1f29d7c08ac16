"""Gaussian likelihood of observed pixels, for white and for correlated noise.

White noise: Lanusse et al. 2021, eq. 4.  Correlated noise that is the same all over a stamp is
independent from one Fourier coefficient to the next (eq. 5), as far as the stamp may be taken as
periodic: what its opposite edges have in common is the price of a covariance that is diagonal.
"""

__all__ = ["chi_square", "error_floor_weight", "fourier_chi_square", "fourier_log_likelihood",
           "pixel_log_likelihood"]

import numpy as np
import tensorflow as tf


def chi_square(stamps, models, noise_sigma):
    """Sum over pixels of the squared residual over the noise variance.

    Parameters:
        stamps:         Observed stamps, shape [N, S, S].
        models:         Noiseless models, already convolved with the PSF, shape [N, S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, shape [N].

    Returns:
        shape [N].
    """
    return tf.reduce_sum(tf.square((stamps - models) / noise_sigma[:, None, None]), axis=[1, 2])


def pixel_log_likelihood(stamps, models, noise_sigma):
    """Log density of the stamps given noiseless models, for independent noise in each pixel.

    Arguments as for `chi_square`; the normalisation is included.  Returns shape [N] [nats].
    """
    pixels = stamps.shape[1] * stamps.shape[2]
    norm = pixels * (tf.math.log(noise_sigma) + 0.5 * np.log(2 * np.pi))
    return -0.5 * chi_square(stamps, models, noise_sigma) - norm


def fourier_chi_square(stamps, models, noise_sigma, noise_power):
    """Squared residual over the noise power, summed over the Fourier plane (eq. 5).

    Its expectation is the number of pixels where residuals are noise of that power; with a power
    of one everywhere it equals `chi_square`.

    Parameters:
        stamps:         Observed stamps, shape [N, S, S].
        models:         Noiseless models, already convolved with the PSF, shape [N, S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, shape [N].
        noise_power:    Power spectrum of the noise relative to that of white noise of the same
                        variance, positive, in the layout of `tf.signal.rfft2d`, shape
                        [N, S, S//2 + 1] or [1, S, S//2 + 1]; its mean over the full plane is one.
                        Where a spectrum falls to nearly nothing, raise it to some floor first:
                        no model is right to a hundredth of the noise.

    Returns:
        shape [N].
    """
    size = stamps.shape[1]
    residual = tf.signal.rfft2d((stamps - models) / noise_sigma[:, None, None])
    power = tf.square(tf.math.real(residual)) + tf.square(tf.math.imag(residual))
    return tf.reduce_sum(_times(size) * power / noise_power, axis=[1, 2]) / size**2


def fourier_log_likelihood(stamps, models, noise_sigma, noise_power):
    """Log density of the stamps given noiseless models, for stationary correlated noise (eq. 5).

    Arguments as for `fourier_chi_square`; the normalisation is included: the determinant of the
    covariance is the product of the power over the full plane.  Returns shape [N] [nats].
    """
    size = stamps.shape[1]
    norm = size**2 * (tf.math.log(noise_sigma) + 0.5 * np.log(2 * np.pi))
    norm += 0.5 * tf.reduce_sum(_times(size) * tf.math.log(noise_power), axis=[1, 2])
    return -0.5 * fourier_chi_square(stamps, models, noise_sigma, noise_power) - norm


def _times(size):
    """How often each column of a half plane is there in the full plane, [S//2 + 1]."""
    times = np.full(size // 2 + 1, 2.0, np.float32)
    times[0] = 1.0
    if size % 2 == 0:
        times[-1] = 1.0
    return times


def error_floor_weight(models, noise_sigma, radius, fraction):
    """Weight that keeps the few brightest galaxies from ruling a batch.

    A galaxy whose mean signal to noise per pixel is far above 1 / ``fraction`` asks for a model
    that is right to better than ``fraction`` in every pixel.  Allowing the model such an error,
    spread over the area of the galaxy, multiplies the variance by
    ``1 + fraction^2 (sum of squared S/N) / area``; the weight is the inverse of that.

    Parameters:
        models:         Noiseless models of the stamps, shape [N, S, S].
        noise_sigma:    Shape [N].
        radius:         Half-light radius [pixels], shape [N].
        fraction:       Relative error of the model.

    Returns:
        shape [N], in (0, 1].
    """
    area = np.pi * tf.square(3.0 * radius)
    power = tf.reduce_sum(tf.square(models / noise_sigma[:, None, None]), axis=[1, 2])
    return 1.0 / (1.0 + fraction**2 * power / area)
