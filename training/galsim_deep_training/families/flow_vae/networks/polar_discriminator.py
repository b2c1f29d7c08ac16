"""The discriminator of polar views: real galaxies, or sampled ones?"""

__all__ = ["PolarDiscriminator", "angular_power"]

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from ....networks.blocks import ResidualBlock, mlp
from ....networks.wrapping import wrapped
from .polar import PolarConv2D

ROWS = 4
"""Rows of the grid over which the angular power is averaged."""
LEAST_POWER = 1e-3
"""Added to the angular power before its logarithm."""


def angular_power(contrast: tf.Tensor) -> tf.Tensor:
    """Half the logarithm of the power of maps along their columns, in bands of frequency.

    The bands are 1, 2, 3 to 4, 5 to 8, and so on, in periods over the circle.

    Parameters:
        contrast:   [N, R, A]; R is a multiple of `ROWS`, and A a power of two.

    Returns:
        averages over `ROWS` rows each, [N, R / ROWS * log2(A)].

    >>> wave = tf.cos(3 * 2 * np.pi / 16 * tf.range(16.0)) * tf.ones([1, 4, 1])
    >>> angular_power(wave).numpy().round(2)  # half of the variance in the third band, ln(0.5) / 2
    array([[-3.45, -3.45, -0.35, -3.45]], dtype=float32)
    """
    rows, columns = contrast.shape[1:]
    spectrum = tf.signal.rfft(contrast)
    # Both signs of a frequency; the highest one has no other.
    power = 2 * tf.square(tf.abs(spectrum + 1e-20)) / columns**2
    power = tf.reduce_mean(tf.reshape(power, [-1, rows // ROWS, ROWS, columns // 2 + 1]), axis=2)
    band = np.ceil(np.log2(np.maximum(np.arange(columns // 2 + 1), 1))).astype(int)
    band[0] = -1
    bands = (band[:, None] == np.arange(band.max() + 1)).astype(np.float32)
    banded = tf.einsum("nrf,fb->nrb", power, bands)
    return tf.reshape(0.5 * tf.math.log(banded + LEAST_POWER),
                      [-1, rows // ROWS * bands.shape[1]])


class PolarDiscriminator(keras.Model):
    """Judges polar views, each place by itself and the galaxy as a whole.

    The whole is judged by its angular power too, so that samples get both smooth and clumpy
    galaxies in the right numbers.

    Parameters:
        channels:   Channels at each resolution, the highest first: that of the views, a half, ...
        hidden:     Units of the hidden layer for the whole galaxy.

    >>> discriminator = PolarDiscriminator(channels=(4, 4, 4), hidden=8)
    >>> discriminator(tf.ones([2, 16, 32, 3]), tf.ones([2, 32]), tf.ones([2, 4])).shape
    TensorShape([2])
    """

    def __init__(self, channels: Sequence[int] = (12, 24, 40, 56), hidden: int = 96) -> None:
        super().__init__(name="discriminator", dtype="float32")
        self.entry = PolarConv2D(channels[0], 3)
        self.pool = keras.layers.AveragePooling2D(2)
        self.change_channels = [keras.layers.Conv2D(count, 1) for count in channels[1:]]
        self.bias = [keras.layers.Dense(count) for count in channels[1:]]
        self.blocks = [ResidualBlock(count, PolarConv2D) for count in channels[1:]]
        self.patches = PolarConv2D(1, 3)
        self.flatten = keras.Sequential([keras.layers.Conv2D(12, 1), keras.layers.Flatten()])
        self.whole = mlp(1, (hidden, hidden))

    def call(self, maps: tf.Tensor, rings: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Judge views.

        Parameters:
            maps:           [N, R, A, K].
            rings:          Numbers of each ring, [N, R * k].
            conditions:     What the galaxies should be like, and how they were observed, [N, C].

        Returns:
            [N]; larger for real galaxies.
        """
        significance = maps[..., :1]
        smooth = tf.nn.avg_pool2d(wrapped(significance), 3, 1, "VALID")
        x = self.entry(tf.concat([maps, 4.0 * (significance - smooth)], axis=-1))
        patches = tf.zeros([])
        for level, (change, bias, block) in enumerate(
                zip(self.change_channels, self.bias, self.blocks, strict=True)):
            x = change(self.pool(tf.nn.relu(x)))
            x = block(x + bias(conditions)[:, None, None])
            if level == 1:
                patches = tf.cast(tf.reduce_mean(
                    self.patches(tf.nn.relu(x)), axis=[1, 2, 3]), tf.float32)
        x = tf.cast(self.flatten(tf.nn.relu(x)), tf.float32)
        flat = tf.concat([x, rings, angular_power(maps[..., 2]), conditions], axis=-1)
        return patches + self.whole(flat)[:, 0]
