"""From light profiles to stamps as a survey would have observed them."""

__all__ = ["clipped", "correlated", "observe"]

import tensorflow as tf

from .convolution import convolve, psf_transfer


def observe(profiles, psfs, noise_sigma, noise_power, normal):
    """See profiles through a PSF, with noise.

    Parameters:
        profiles:       Light before PSF and pixel, [N, S, S].
        psfs:           [N, P, P], unit sum.
        noise_sigma:    Standard deviation of the noise in a pixel, [N].
        noise_power:    Its power spectrum over that of white noise, [N, S, S//2+1].
        normal:         Standard normal numbers, [N, S, S].

    Returns:
        [N, S, S].
    """
    seen = convolve(profiles, psf_transfer(psfs, profiles.shape[1]))
    return seen + noise_sigma[:, None, None] * correlated(normal, noise_power)


def correlated(normal, power):
    """White noise [N, S, S] given a power spectrum [N, S, S//2+1] relative to white: [N, S, S]."""
    size = normal.shape[1]
    root = tf.cast(tf.sqrt(power), tf.complex64)
    return tf.signal.irfft2d(tf.signal.rfft2d(normal) * root, fft_length=[size, size])


def clipped(stamps, noise_sigma, threshold):
    """Stamps [N, S, S] with zero wherever they are below so many times the noise, [N]."""
    return tf.where(stamps > threshold * noise_sigma[:, None, None], stamps, 0.0)
