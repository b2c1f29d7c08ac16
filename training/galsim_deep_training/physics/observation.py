"""Simulated observations: from light profiles to stamps as a survey would record them."""

__all__ = ["clipped", "clipped_if", "correlated", "observe"]

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from galsim_deep.observations.clipping import REACH

from .convolution import convolve, psf_transfer


def observe(profiles: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor, noise_power: tf.Tensor,
            normal: tf.Tensor) -> tf.Tensor:
    """Convolve light profiles with PSFs and add stationary Gaussian noise.

    Parameters:
        profiles:       Light profiles before PSF and pixel, [N, S, S].
        psfs:           PSF images, [N, P, P], with P odd and unit sum.
        noise_sigma:    Standard deviation of the noise in a pixel, [N].
        noise_power:    Power spectrum of the noise relative to white noise of the same variance,
                        [N, S, S//2 + 1].
        normal:         Standard normal numbers that determine the noise, [N, S, S].

    Returns:
        the observed stamps, [N, S, S].

    >>> profile, normal = tf.ones([1, 4, 4]), tf.ones([1, 4, 4])
    >>> point = tf.reshape(tf.one_hot([4], 9), [1, 3, 3])
    >>> stamp = observe(profile, point, tf.constant([0.5]), tf.ones([1, 4, 3]), normal)
    >>> round(float(stamp[0, 0, 0]), 4)
    1.5
    """
    noiseless = convolve(profiles, psf_transfer(psfs, profiles.shape[1]))
    return noiseless + noise_sigma[:, None, None] * correlated(normal, noise_power)


def correlated(normal: tf.Tensor, power: tf.Tensor) -> tf.Tensor:
    """Turn white noise into correlated noise of the same variance.

    Parameters:
        normal:     White noise of unit variance, [N, S, S].
        power:      Power spectrum relative to white noise, [N, S, S//2 + 1] or [1, S, S//2 + 1].

    Returns:
        noise with this power spectrum, [N, S, S].

    >>> noise = tf.random.stateless_normal([1, 4, 4], seed=[1, 2])
    >>> bool(tf.reduce_all(tf.abs(correlated(noise, tf.ones([1, 4, 3])) - noise) < 1e-5))
    True
    """
    size = normal.shape[1]
    amplitude = tf.cast(tf.sqrt(power), tf.complex64)
    return tf.signal.irfft2d(tf.signal.rfft2d(normal) * amplitude, fft_length=[size, size])


def clipped(stamps: tf.Tensor, noise_sigma: tf.Tensor, threshold: float,
            peak: float) -> tf.Tensor:
    """Set all pixels to zero that do not belong to a significant source.

    The result equals that of `galsim_deep.observations.clipping.clipped`; in addition it has a
    gradient, see `_masked`.

    Parameters:
        stamps:         Observed stamps, [N, S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, [N].
        threshold:      Signal-to-noise ratio above which a pixel is kept if it is connected to a
                        peak.
        peak:           Signal-to-noise ratio of a peak; larger than ``threshold``.

    Returns:
        [N, S, S].

    >>> stamp = tf.constant([[[9.0, 4.0, 1.0, 4.0]]])
    >>> clipped(stamp, tf.ones([1]), threshold=3.0, peak=6.0).numpy().tolist()
    [[[9.0, 4.0, 0.0, 0.0]]]
    """
    signal = stamps / noise_sigma[:, None, None]
    above, kept = signal > threshold, signal > peak
    for _ in range(REACH):
        kept = _dilated(kept) & above
    return _masked(stamps, kept, signal - threshold, threshold)


def clipped_if(stamps: tf.Tensor, noise_sigma: tf.Tensor, threshold: tf.Tensor,
               peak: tf.Tensor) -> tf.Tensor:
    """Stamps clipped as those of a training set were: `clipped`, unless the threshold is zero.

    >>> stamp = tf.constant([[[9.0, 4.0, 1.0, 4.0]]])
    >>> clipped_if(stamp, tf.ones([1]), tf.constant(0.0), tf.constant(0.0)).numpy().tolist()
    [[[9.0, 4.0, 1.0, 4.0]]]
    """
    return tf.cond(threshold > 0, lambda: clipped(stamps, noise_sigma, threshold, peak),
                   lambda: stamps)


@tf.custom_gradient
def _masked(stamps: tf.Tensor, kept: tf.Tensor, excess: tf.Tensor,
            threshold: float) -> tuple[tf.Tensor, Callable]:
    """Stamps where ``kept``, zero elsewhere, with a surrogate gradient at the threshold.

    The value of a pixel jumps from zero to ``threshold`` (in units of the noise) when it becomes
    brighter than the threshold. The gradient of the mask ignores this jump: a clipped pixel has no
    gradient, so that light below the threshold would never be pulled up or pushed down. Therefore
    the jump contributes its height times a Gaussian of one noise sigma about the threshold, which
    is the derivative of a jump smoothed by the noise. That a pixel is kept only if it is connected
    to a peak is ignored in this term; otherwise a faint structure that was lost as a whole could
    never come back.
    """
    jump = threshold * np.float32(1 / np.sqrt(2 * np.pi)) * tf.exp(-0.5 * tf.square(excess))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
        return upstream * (tf.cast(kept, upstream.dtype) + jump), None, None, None

    return tf.where(kept, stamps, 0.0), gradient


def _dilated(mask: tf.Tensor) -> tf.Tensor:
    """Dilate a mask [N, S, S] by one pixel in all eight directions."""
    wide = tf.pad(mask, [[0, 0], [1, 1], [0, 0]])
    mask = mask | wide[:, :-2] | wide[:, 2:]
    wide = tf.pad(mask, [[0, 0], [0, 0], [1, 1]])
    return mask | wide[:, :, :-2] | wide[:, :, 2:]
