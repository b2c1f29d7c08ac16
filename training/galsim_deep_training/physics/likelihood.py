"""Gaussian likelihood of observed pixels (Lanusse et al. 2021, eq. 4)."""

__all__ = ["chi_square", "error_floor_weight", "pixel_log_likelihood"]

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


def error_floor_weight(stamps, noise_sigma, radius, fraction):
    """Weight that keeps the few brightest galaxies from ruling a batch.

    A galaxy whose mean signal to noise per pixel is far above 1 / ``fraction`` asks for a model
    that is right to better than ``fraction`` in every pixel.  Allowing the model such an error,
    spread over the area of the galaxy, multiplies the variance by
    ``1 + fraction^2 (sum of squared S/N) / area``; the weight is the inverse of that.

    Parameters:
        stamps:         Observed stamps, shape [N, S, S].
        noise_sigma:    Shape [N].
        radius:         Half-light radius [pixels], shape [N].
        fraction:       Relative error of the model.

    Returns:
        shape [N], in (0, 1].
    """
    area = np.pi * tf.square(3.0 * radius)
    pixels = stamps.shape[1] * stamps.shape[2]
    power = tf.reduce_sum(tf.square(stamps / noise_sigma[:, None, None]), axis=[1, 2]) - pixels
    return 1.0 / (1.0 + fraction**2 * tf.nn.relu(power) / area)
