"""Gaussian likelihood of the observed pixels, for white and for correlated noise.

White noise is independent in each pixel (Lanusse et al. 2021, eq. 4). Stationary correlated noise
has independent Fourier coefficients (eq. 5), provided that the stamp is treated as periodic. This
approximation makes the covariance diagonal; it ignores that opposite edges of a stamp are not
neighbours.

Reference: Lanusse et al. 2021, MNRAS 504, 5543, arXiv:2008.03833.
"""

__all__ = ["chi_square", "column_multiplicity", "error_floor_weight", "fourier_chi_square",
           "fourier_log_likelihood", "pixel_log_likelihood"]

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def chi_square(stamps: tf.Tensor, models: tf.Tensor, noise_sigma: tf.Tensor) -> tf.Tensor:
    """Sum over pixels of the squared residual, divided by the noise variance.

    Parameters:
        stamps:         Observed stamps, [N, S, S].
        models:         Noiseless models of the stamps, convolved with the PSF, [N, S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, [N].

    Returns:
        [N].

    >>> chi_square(tf.ones([1, 4, 4]), tf.zeros([1, 4, 4]), tf.constant([0.5])).numpy().tolist()
    [64.0]
    """
    return tf.reduce_sum(tf.square((stamps - models) / noise_sigma[:, None, None]), axis=[1, 2])


def pixel_log_likelihood(stamps: tf.Tensor, models: tf.Tensor,
                         noise_sigma: tf.Tensor) -> tf.Tensor:
    """Log-likelihood of the stamps for independent noise in each pixel (eq. 4), normalised.

    Parameters:
        stamps:         Observed stamps, [N, S, S].
        models:         Noiseless models of the stamps, convolved with the PSF, [N, S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, [N].

    Returns:
        [N] [nats].

    >>> stamp = tf.zeros([1, 2, 2])
    >>> round(float(pixel_log_likelihood(stamp, stamp, tf.ones([1]))[0]), 4)  # -2 ln(2 pi)
    -3.6758
    """
    pixels = stamps.shape[1] * stamps.shape[2]
    log_normalisation = pixels * (tf.math.log(noise_sigma) + 0.5 * np.log(2 * np.pi))
    return -0.5 * chi_square(stamps, models, noise_sigma) - log_normalisation


def fourier_chi_square(stamps: tf.Tensor, models: tf.Tensor, noise_sigma: tf.Tensor,
                       noise_power: tf.Tensor) -> tf.Tensor:
    """Sum over Fourier modes of the squared residual, divided by the noise power (eq. 5).

    Its expectation is the number of pixels if the residuals are noise of that power. For a power
    of one everywhere it equals `chi_square` (Parseval's theorem).

    Parameters:
        stamps:         Observed stamps, [N, S, S].
        models:         Noiseless models of the stamps, convolved with the PSF, [N, S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, [N].
        noise_power:    Power spectrum of the noise relative to white noise of the same variance,
                        in the layout of `tf.signal.rfft2d`, [N, S, S//2 + 1] or [1, S, S//2 + 1].
                        It is positive and its mean over the full plane is one. Raise modes with
                        almost no noise to a floor first: no model is exact to a hundredth of the
                        noise, and such modes would dominate the sum.

    Returns:
        [N].

    >>> stamp, model = tf.ones([1, 4, 4]), tf.zeros([1, 4, 4])
    >>> white = tf.ones([1, 4, 3])
    >>> fourier_chi_square(stamp, model, tf.constant([0.5]), white).numpy().round(3)
    array([64.], dtype=float32)
    """
    size = stamps.shape[1]
    residual = tf.signal.rfft2d((stamps - models) / noise_sigma[:, None, None])
    power = tf.square(tf.math.real(residual)) + tf.square(tf.math.imag(residual))
    return tf.reduce_sum(column_multiplicity(size) * power / noise_power, axis=[1, 2]) / size**2


def fourier_log_likelihood(stamps: tf.Tensor, models: tf.Tensor, noise_sigma: tf.Tensor,
                           noise_power: tf.Tensor) -> tf.Tensor:
    """Log-likelihood of the stamps for stationary correlated noise (eq. 5), normalised.

    The determinant of the covariance is the product of the noise power over the full Fourier plane.

    Parameters:
        stamps, models, noise_sigma, noise_power:   As for `fourier_chi_square`.

    Returns:
        [N] [nats].

    >>> stamp, sigma = tf.zeros([1, 2, 2]), tf.ones([1])
    >>> white = tf.ones([1, 2, 2])
    >>> round(float(fourier_log_likelihood(stamp, stamp, sigma, white)[0]), 4)  # -2 ln(2 pi)
    -3.6758
    """
    size = stamps.shape[1]
    log_normalisation = size**2 * (tf.math.log(noise_sigma) + 0.5 * np.log(2 * np.pi))
    log_normalisation += 0.5 * tf.reduce_sum(
        column_multiplicity(size) * tf.math.log(noise_power), axis=[1, 2])
    return (-0.5 * fourier_chi_square(stamps, models, noise_sigma, noise_power)
            - log_normalisation)


def column_multiplicity(size: int) -> NDArray[np.float32]:
    """Multiplicity of each `rfft2` column in the full Fourier plane, [S//2 + 1].

    `rfft2` leaves out columns that are the complex conjugates of others. The first column, and for
    even S the last one, has no such partner.

    >>> column_multiplicity(4).tolist()
    [1.0, 2.0, 1.0]
    """
    multiplicity = np.full(size // 2 + 1, 2.0, np.float32)
    multiplicity[0] = 1.0
    if size % 2 == 0:
        multiplicity[-1] = 1.0
    return multiplicity


def error_floor_weight(models: tf.Tensor, noise_sigma: tf.Tensor, radius: tf.Tensor,
                       fraction: float) -> tf.Tensor:
    """Weight that prevents the few brightest galaxies from dominating the loss of a batch.

    A galaxy with a mean signal-to-noise ratio per pixel far above 1 / ``fraction`` would require a
    model that is accurate to better than ``fraction`` in each pixel. If the model may have a
    relative error of ``fraction``, spread over the area A of the galaxy, then the variance grows
    by the factor ``1 + fraction^2 (sum over pixels of (S/N)^2) / A``. The weight is the inverse of
    this factor.

    Parameters:
        models:         Noiseless models of the stamps, [N, S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, [N].
        radius:         Half-light radius r [pixels], [N]; the area is that of a circle of 3 r.
        fraction:       Relative error that is allowed to the model.

    Returns:
        [N], in (0, 1].

    >>> faint, bright = tf.zeros([1, 8, 8]), tf.fill([1, 8, 8], 1e3)
    >>> weight = error_floor_weight(
    ...     tf.concat([faint, bright], axis=0), tf.ones([2]), tf.ones([2]), fraction=0.05)
    >>> print(weight.numpy().round(6))
    [1.00e+00 1.77e-04]
    """
    area = np.pi * tf.square(3.0 * radius)
    power = tf.reduce_sum(tf.square(models / noise_sigma[:, None, None]), axis=[1, 2])
    return 1.0 / (1.0 + fraction**2 * power / area)
