"""The discriminator of stamps: real sources, or sampled ones?"""

__all__ = ["StampDiscriminator"]

from collections.abc import Sequence

import keras
import tensorflow as tf

from ...networks.blocks import ResidualBlock, mlp


class StampDiscriminator(keras.Model):
    """A discriminator of stamps without normalisation, for losses with a penalty of its gradient.

    Parameters:
        channels:   Channels at each resolution, the highest first: that of the stamps, a half, ...
        hidden:     Units of the hidden layers.

    >>> discriminator = StampDiscriminator(channels=(4, 4, 4), hidden=8)
    >>> discriminator(tf.ones([2, 16, 16, 3]), tf.ones([2, 4])).shape
    TensorShape([2])
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 48, 64, 96), hidden: int = 128) -> None:
        super().__init__(name="discriminator", dtype="float32")
        self.entry = keras.layers.Conv2D(channels[0], 3, padding="same")
        self.pool = keras.layers.AveragePooling2D(2)
        self.widen = [keras.layers.Conv2D(count, 1) for count in channels[1:]]
        self.bias = [keras.layers.Dense(count) for count in channels[1:]]
        self.blocks = [ResidualBlock(count) for count in channels[1:]]
        self.flatten = keras.layers.Flatten()
        self.whole = mlp(1, (hidden, hidden))

    def call(self, maps: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Judge maps [N, S, S, V] given conditions [N, C]: [N], larger for real sources."""
        x = self.entry(maps)
        for widen, bias, block in zip(self.widen, self.bias, self.blocks, strict=True):
            x = widen(self.pool(tf.nn.relu(x)))
            x = block(x + bias(conditions)[:, None, None])
        x = tf.concat([self.flatten(tf.nn.relu(x)), conditions], axis=-1)
        return self.whole(x)[:, 0]
