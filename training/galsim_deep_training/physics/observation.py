"""From light profiles to stamps as a survey would have observed them."""

__all__ = ["clipped", "correlated", "observe"]

import numpy as np
import tensorflow as tf

from galsim_deep.clipping import REACH

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


def clipped(stamps, noise_sigma, threshold, peak):
    """Stamps [N, S, S] with zero where there is nothing significant above the noise, [N].

    As `galsim_deep.clipping.clipped` does it.
    """
    signal = stamps / noise_sigma[:, None, None]
    above, kept = signal > threshold, signal > peak
    for _ in range(REACH):
        kept = _widened(kept) & above
    return _cut(stamps, kept, signal - threshold, threshold)


@tf.custom_gradient
def _cut(stamps, kept, excess, threshold):
    """Stamps where they are kept, and zero elsewhere.

    What is a little brighter than the threshold appears all at once.  A derivative that knows
    nothing of that leaves light in the dark once it is there; so to that of what is kept comes that
    of the step, as wide as the noise.  It is as though each pixel could appear by itself: that an
    island needs a peak is left out, or tails that were lost as a whole would never come back.
    """
    step = threshold * np.float32(1 / np.sqrt(2 * np.pi)) * tf.exp(-0.5 * tf.square(excess))

    def gradient(upstream):
        return upstream * (tf.cast(kept, upstream.dtype) + step), None, None, None

    return tf.where(kept, stamps, 0.0), gradient


def _widened(mask):
    """A mask [N, S, S], by one pixel to all sides."""
    wide = tf.pad(mask, [[0, 0], [1, 1], [0, 0]])
    mask = mask | wide[:, :-2] | wide[:, 2:]
    wide = tf.pad(mask, [[0, 0], [0, 0], [1, 1]])
    return mask | wide[:, :, :-2] | wide[:, :, 2:]
