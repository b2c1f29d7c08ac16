"""The discriminator of polar grids that judges each place by itself, and the galaxy as a whole."""

__all__ = ["PatchDiscriminator"]

from collections.abc import Sequence

import keras
import tensorflow as tf

from ....networks.blocks import ResidualBlock, mlp
from ....networks.wrapping import PolarConv2D


class PatchDiscriminator(keras.Model):
    """A discriminator without normalisation, for losses with a penalty of its gradient.

    The spectral normalisation of `networks.discriminator.Discriminator` bounds how much its output
    changes with its input, so that it hardly sees structure of low contrast.

    Parameters:
        channels:   Channels at the lowest resolution; there are fewer at the higher ones.
        hidden:     Units of the hidden layers for the whole galaxy.

    >>> discriminator = PatchDiscriminator(channels=8, hidden=8)
    >>> discriminator([tf.ones([2, 16, 32, 5])], tf.ones([2, 4])).shape
    TensorShape([2])
    """

    def __init__(self, channels: int, hidden: int = 96) -> None:
        super().__init__(name="discriminator", dtype="float32")
        counts = [max(1, part * channels // 8) for part in (2, 4, 6, 8)]
        self.entry = PolarConv2D(counts[0], 3)
        self.pool = keras.layers.AveragePooling2D(2)
        self.change_channels = [keras.layers.Conv2D(count, 1) for count in counts[1:]]
        self.bias = [keras.layers.Dense(count) for count in counts[1:]]
        self.blocks = [ResidualBlock(count, PolarConv2D) for count in counts[1:]]
        self.patches = PolarConv2D(1, 3)
        self.flatten = keras.Sequential([keras.layers.Conv2D(12, 1), keras.layers.Flatten()])
        self.whole = mlp(1, (hidden, hidden))

    def call(self, images: Sequence[tf.Tensor], conditions: tf.Tensor) -> tf.Tensor:
        """Judge images.

        Parameters:
            images:         A list of one polar image, [N, R, 2 R, V]; R is at least 8.
            conditions:     [N, C]; [N, 0] if there are none.

        Returns:
            [N]; larger for real galaxies.
        """
        x = self.entry(images[0])
        patches = tf.zeros([])
        for level, (change, bias, block) in enumerate(
                zip(self.change_channels, self.bias, self.blocks, strict=True)):
            x = block(change(self.pool(tf.nn.relu(x))) + bias(conditions)[:, None, None])
            if level == 1:
                patches = tf.cast(tf.reduce_mean(
                    self.patches(tf.nn.relu(x)), axis=[1, 2, 3]), tf.float32)
        x = tf.cast(self.flatten(tf.nn.relu(x)), tf.float32)
        return patches + self.whole(tf.concat([x, conditions], axis=-1))[:, 0]
