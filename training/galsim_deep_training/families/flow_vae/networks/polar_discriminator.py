"""The discriminator of polar views: real galaxies, or sampled ones?"""

__all__ = ["PolarDiscriminator"]

from collections.abc import Sequence

import keras
import tensorflow as tf

from ....networks.blocks import ResidualBlock, mlp
from ....networks.wrapping import PolarConv2D, wrapped


class PolarDiscriminator(keras.Model):
    """Judges polar views, each place by itself and the galaxy as a whole.

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
        flat = tf.concat([x, rings, conditions], axis=-1)
        return patches + self.whole(flat)[:, 0]
