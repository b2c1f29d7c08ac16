"""Random views of images, of which encoders learn that they show the same galaxy."""

__all__ = ["ViewSettings", "prepared", "random_view"]

import numpy as np
import tensorflow as tf

from ...settings import Settings, Share, ShareBelowOne

SOFTENING = 0.01
"""Smallest softening of the arcsinh stretch, in units of the peak of an image."""
BLUR = (1.0, 4.0, 6.0, 4.0, 1.0)
"""Weights of the strongest blur along each axis."""


class ViewSettings(Settings):
    """How views of an image differ.

    Andrianomena 2023 (section 3.2) flips and crops images, changes their brightness and contrast
    and blurs them.  Here they are rotated by any angle too, since galaxies have no preferred
    orientation.

    >>> ViewSettings(rotate=False).zoom
    0.25
    """

    flip: bool = True
    """Whether views are mirrored at random."""
    rotate: bool = True
    """Whether views are rotated by a random angle."""
    zoom: ShareBelowOne = 0.25
    """Largest change of the scale: views are magnified or shrunk by up to this fraction, which
    crops them."""
    shift: Share = 0.06
    """Largest shift along each axis, in units of the size of the stamp."""
    contrast: ShareBelowOne = 0.3
    """Largest change of the exponent of the stretched brightness."""
    noise: Share = 0.03
    """Largest standard deviation of noise that is added, in units of the peak."""
    blur: Share = 0.8
    """Largest weight of a blurred copy of the image."""


def prepared(stamps: tf.Tensor, noise_sigma: tf.Tensor) -> tf.Tensor:
    """Stamps as an encoder sees them: stretched by arcsinh, with a peak of one.

    Multiplying a stamp and its noise by the same number does not change the result.

    Parameters:
        stamps:         [N, S, S, B].
        noise_sigma:    Standard deviation of the noise in a pixel, [N]; may be zero.

    Returns:
        [N, S, S, B].

    >>> prepared(tf.constant([[[[0.0], [3.0]]]]), tf.constant([0.1])).numpy().ravel()
    array([0., 1.], dtype=float32)
    """
    peak = tf.reduce_max(stamps, axis=[1, 2, 3], keepdims=True)
    softening = tf.maximum(noise_sigma[:, None, None, None], SOFTENING * tf.abs(peak))
    softening = tf.maximum(softening, 1e-20)
    stretched = tf.asinh(stamps / softening)
    # A stamp without light above the noise stays faint.
    return stretched / tf.maximum(tf.asinh(peak / softening), 1.0)


def random_view(images: tf.Tensor, settings: ViewSettings, seed: tf.Tensor) -> tf.Tensor:
    """A random view of each image.

    Parameters:
        images:     As `prepared` returns them, [N, S, S, B].
        settings:   How much views differ.
        seed:       Two integers; the views are a function of them.

    Returns:
        [N, S, S, B].

    >>> image = tf.ones([2, 8, 8, 1])
    >>> random_view(image, ViewSettings(), tf.constant([1, 2])).shape
    TensorShape([2, 8, 8, 1])
    """
    count = tf.shape(images)[0]
    uniform = tf.unstack(tf.random.stateless_uniform([8, count], seed), axis=0)
    mirror = tf.where((uniform[0] < 0.5) & settings.flip, -1.0, 1.0)
    angle = 2 * np.pi * uniform[1] * float(settings.rotate)
    scale = 1.0 + settings.zoom * (2 * uniform[2] - 1)
    size = images.shape[1]
    shift = size * settings.shift * (2 * tf.stack(uniform[3:5]) - 1)
    views = _transformed(images, mirror, angle, scale, shift)
    blurred = _blurred(views)
    views += (settings.blur * uniform[5])[:, None, None, None] * (blurred - views)
    exponent = tf.exp(settings.contrast * (2 * uniform[6] - 1))
    # The absolute value keeps the sign of noise below zero.
    views = tf.sign(views) * tf.pow(tf.abs(views) + 1e-6, exponent[:, None, None, None])
    noise = tf.random.stateless_normal(
        tf.shape(images), tf.random.experimental.stateless_fold_in(seed, 1))
    return views + (settings.noise * uniform[7])[:, None, None, None] * noise


def _transformed(images: tf.Tensor, mirror: tf.Tensor, angle: tf.Tensor, scale: tf.Tensor,
                 shift: tf.Tensor) -> tf.Tensor:
    """Images after a mirroring, a rotation and a change of the scale about their middle, and a
    shift, in a single bilinear interpolation; zero beyond the edge."""
    size = images.shape[1]
    middle = 0.5 * (size - 1)
    cosine, sine = tf.cos(angle) / scale, tf.sin(angle) / scale
    # From the pixels of the view to those of the image.
    a, b, c, d = mirror * cosine, -mirror * sine, sine, cosine
    x, y = middle + shift[0], middle + shift[1]
    zeros = tf.zeros_like(angle)
    transforms = tf.stack([a, b, middle - a * x - b * y, c, d, middle - c * x - d * y,
                           zeros, zeros], axis=-1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=transforms, output_shape=[size, size], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="CONSTANT")


def _blurred(images: tf.Tensor) -> tf.Tensor:
    bands = images.shape[-1]
    weights = np.array(BLUR, np.float32) / np.float32(np.sum(BLUR))
    kernel = np.broadcast_to(np.outer(weights, weights)[:, :, None, None], (5, 5, bands, 1))
    return tf.nn.depthwise_conv2d(images, tf.constant(kernel), [1, 1, 1, 1], "SAME")
