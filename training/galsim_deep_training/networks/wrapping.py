"""Padding of polar grids, whose rows are radii and whose last column is next to the first."""

__all__ = ["wrapped"]

import tensorflow as tf


def wrapped(x: tf.Tensor, width: int = 1) -> tf.Tensor:
    """Pad [N, R, A, C]: the columns periodically, the rows with copies of the first and last.

    >>> wrapped(tf.constant([[1.0, 2.0, 3.0]])[None, ..., None])[0, :, :, 0].numpy()
    array([[3., 1., 2., 3., 1.],
           [3., 1., 2., 3., 1.],
           [3., 1., 2., 3., 1.]], dtype=float32)
    """
    x = tf.concat([x[:, :, -width:], x, x[:, :, :width]], axis=2)
    return tf.concat([*[x[:, :1]] * width, x, *[x[:, -1:]] * width], axis=1)
