"""Convolution of sampled light profiles with each galaxy's own PSF (Lanusse et al. 2021, eq. 2)."""

__all__ = ["convolve", "psf_transfer"]

import tensorflow as tf


def psf_transfer(psfs, stamp_size):
    """The transfer functions of PSF images, ready for `convolve`.

    Parameters:
        psfs:           PSF images, shape [N, P, P], P odd, centred on the middle pixel, unit sum.
        stamp_size:     Size S of the stamps that will be convolved.

    Returns:
        complex64, shape [N, F, F/2 + 1], F the larger of S + (P - 1) / 2 and P: enough for what
        wraps around to stay off the stamp.
    """
    size = psfs.shape[1]
    padded = max(stamp_size + size // 2, size)
    kernel = tf.pad(psfs, [[0, 0], [0, padded - size], [0, padded - size]])
    kernel = tf.roll(kernel, [-(size // 2), -(size // 2)], axis=[1, 2])
    return tf.signal.rfft2d(kernel)


def convolve(images, transfer):
    """Convolve light profiles with PSFs.

    Parameters:
        images:     Light profiles sampled at pixel centres, shape [N, S, S], float32.
        transfer:   The result of `psf_transfer`, shape [N, F, F/2 + 1].

    Returns:
        float32, shape [N, S, S]: the noiseless observed stamps.  Profiles and PSFs must be sampled
        finely enough (below their Nyquist scale) for this to be the continuous convolution.
    """
    size = images.shape[1]
    padded = transfer.shape[1]
    spectrum = tf.signal.rfft2d(
        tf.pad(images, [[0, 0], [0, padded - size], [0, padded - size]]))
    return tf.signal.irfft2d(spectrum * transfer, fft_length=[padded, padded])[:, :size, :size]
