"""Convolution of light profiles with the PSF of each galaxy (Lanusse et al. 2021, eq. 2).

Reference: Lanusse et al. 2021, MNRAS 504, 5543, arXiv:2008.03833.
"""

__all__ = ["convolve", "psf_transfer"]

import tensorflow as tf


def psf_transfer(psfs: tf.Tensor, stamp_size: int) -> tf.Tensor:
    """Compute the optical transfer functions (Fourier transforms) of PSF images.

    The PSF images are padded with zeros, so that `convolve` is a linear convolution: no light that
    leaves the stamp on one side enters it on the other.

    Parameters:
        psfs:           PSF images, float32 [N, P, P], with P odd, centred on the middle pixel and
                        of unit sum.
        stamp_size:     Pixels S on a side of the stamps that will be convolved.

    Returns:
        complex64 [N, F, F//2 + 1] in the layout of `tf.signal.rfft2d`, where F is the larger of
        S + (P - 1) / 2 and P.

    >>> point = tf.reshape(tf.one_hot([4], 9), [1, 3, 3])
    >>> psf_transfer(point, stamp_size=4).shape
    TensorShape([1, 5, 3])
    """
    psf_size = psfs.shape[1]
    padded_size = max(stamp_size + psf_size // 2, psf_size)
    padding = [0, padded_size - psf_size]
    kernel = tf.pad(psfs, [[0, 0], padding, padding])
    # The centre of the PSF moves to the origin.
    kernel = tf.roll(kernel, [-(psf_size // 2), -(psf_size // 2)], axis=[1, 2])
    return tf.signal.rfft2d(kernel)


def convolve(images: tf.Tensor, transfer: tf.Tensor) -> tf.Tensor:
    """Convolve light profiles with PSFs.

    This equals the continuous convolution if profiles and PSFs are sampled below their Nyquist
    scale.

    Parameters:
        images:     Light profiles sampled at the pixel centres, float32 [N, S, S].
        transfer:   The result of `psf_transfer` for this S, complex64 [N, F, F//2 + 1].

    Returns:
        the noiseless observed stamps, float32 [N, S, S].

    >>> image = tf.reshape(tf.range(16.0), [1, 4, 4])
    >>> point = tf.reshape(tf.one_hot([4], 9), [1, 3, 3])
    >>> bool(tf.reduce_all(tf.abs(convolve(image, psf_transfer(point, 4)) - image) < 1e-4))
    True
    """
    size = images.shape[1]
    padded_size = transfer.shape[1]
    padding = [0, padded_size - size]
    spectrum = tf.signal.rfft2d(tf.pad(images, [[0, 0], padding, padding]))
    convolved = tf.signal.irfft2d(
        spectrum * transfer, fft_length=[padded_size, padded_size])
    return convolved[:, :size, :size]
