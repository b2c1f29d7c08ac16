"""Padding of polar grids, whose rows are radii and whose last column is next to the first."""

__all__ = ["PolarConv2D", "wrapped"]

from typing import Any

import keras
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


class PolarConv2D(keras.layers.Conv2D):
    """A convolution on a polar grid, with the size of its input, which is `wrapped`.

    >>> PolarConv2D(3, 3)(tf.ones([1, 4, 8, 2])).shape
    TensorShape([1, 4, 8, 3])
    """

    def __init__(self, filters: int, kernel_size: int, padding: str = "same", **kwargs: Any
                 ) -> None:
        super().__init__(filters, kernel_size, padding=padding, **kwargs)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return keras.ops.conv(wrapped(inputs, self.kernel_size[0] // 2), kernel, padding="valid")
