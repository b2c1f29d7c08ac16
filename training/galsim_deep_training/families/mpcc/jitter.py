"""Random shifts, rotations and scalings of the real and generated images of a discriminator.

A discriminator with few real images would memorise them. Differentiable augmentation of real and
generated images prevents this without changing the distribution that the generator learns (Zhao
et al. 2020, arXiv:2006.10738).
"""

__all__ = ["SIZE", "jittered"]

from collections.abc import Callable, Sequence

import tensorflow as tf

SIZE = 4
"""Number of standard normal numbers that `jittered` needs for each image."""


def jittered(views: Sequence[tf.Tensor], normal: tf.Tensor, shift: float, turn: float,
             stretch: float) -> list[tf.Tensor]:
    """Shift, rotate and scale images randomly.

    Parameters:
        views:      Images on nested grids, [N, P, P, K] each.  They must have pixels of equal size,
                    since all are shifted by the same number of pixels.
        normal:     Standard normal numbers, [N, SIZE].
        shift:      Standard deviation of the shift along each axis, as a fraction of the width of
                    the first image.
        turn:       Standard deviation of the angle [rad].
        stretch:    Standard deviation of the natural logarithm of the size.

    Returns:
        the images, interpolated bilinearly. Pixels beyond the edge have the value of the nearest
        pixel at the edge.

    >>> view = tf.ones([2, 8, 8, 3])
    >>> jittered([view], tf.ones([2, SIZE]), shift=0.1, turn=0.1, stretch=0.1)[0].shape
    TensorShape([2, 8, 8, 3])
    """
    x, y, angle, log_size = tf.unstack(normal, axis=-1)
    factor = tf.exp(-stretch * log_size)
    cosine, sine = factor * tf.cos(turn * angle), factor * tf.sin(turn * angle)
    moved = []
    for view in views:
        centre, width = 0.5 * (view.shape[1] - 1), float(views[0].shape[1])
        dx, dy = shift * width * x, shift * width * y
        zeros = tf.zeros_like(x)
        transforms = tf.stack([
            cosine, -sine, centre - centre * (cosine - sine) + dx,
            sine, cosine, centre - centre * (sine + cosine) + dy, zeros, zeros], axis=-1)
        moved.append(tf.raw_ops.ImageProjectiveTransformV3(
            images=_with_area_in_gradient(view, factor), transforms=transforms,
            output_shape=view.shape[1:3], fill_value=0.0, interpolation="BILINEAR",
            fill_mode="NEAREST"))
    return moved


@tf.custom_gradient
def _with_area_in_gradient(images: tf.Tensor, factor: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """The images unchanged; their gradient is divided by ``factor`` squared.

    TensorFlow's gradient of the projective transform applies the inverse transform, but leaves out
    the change of area (the Jacobian), so that it is not the adjoint.
    """
    return tf.identity(images), lambda gradient: (
        gradient / tf.square(factor)[:, None, None, None], tf.zeros_like(factor))
