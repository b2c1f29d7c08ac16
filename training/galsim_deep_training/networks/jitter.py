"""Small movements of what a discriminator sees, real and generated images alike.

With few real images it would learn them by heart. Movements that can be differentiated, of both
kinds, keep it from that, and what is generated is not moved (Zhao et al. 2020).
"""

__all__ = ["SIZE", "jittered"]

import tensorflow as tf

SIZE = 4
"""Normal numbers that a movement takes."""


def jittered(views, normal, shift, turn, stretch):
    """Move images.

    Parameters:
        views:          On nested grids, a list of [N, C, C, K], see `networks.critic.laid`.
        normal:         Standard normal numbers, [N, 4].
        shift:          Typical shift along each axis, as a share of the width of the first view,
                        whose cells all views have.
        turn:           Typical angle [rad].
        stretch:        Typical ln of the size.

    Returns:
        the images, likewise, interpolated linearly; beyond their edge they go on as at the edge.
    """
    x, y, angle, size = tf.unstack(normal, axis=-1)
    factor = tf.exp(-stretch * size)
    cosine, sine = factor * tf.cos(turn * angle), factor * tf.sin(turn * angle)
    moved = []
    for view in views:
        middle, width = 0.5 * (view.shape[1] - 1), float(views[0].shape[1])
        dx, dy = shift * width * x, shift * width * y
        zeros = tf.zeros_like(x)
        matrix = tf.stack([
            cosine, -sine, middle - middle * (cosine - sine) + dx,
            sine, cosine, middle - middle * (sine + cosine) + dy, zeros, zeros], axis=-1)
        moved.append(tf.raw_ops.ImageProjectiveTransformV3(
            images=_with_area(view, factor), transforms=matrix, output_shape=view.shape[1:3],
            fill_value=0.0, interpolation="BILINEAR", fill_mode="NEAREST"))
    return moved


@tf.custom_gradient
def _with_area(images, factor):
    """Images as they are, with the gradient that the operation after it should give them.

    Its own gradient moves things back, but leaves out that areas have changed.
    """
    return tf.identity(images), lambda gradient: (
        gradient / tf.square(factor)[:, None, None, None], tf.zeros_like(factor))
