"""The discriminator of polar grids that judges each place by itself, and the galaxy as a whole."""

__all__ = ["PatchDiscriminator"]

from collections.abc import Sequence

import keras
import tensorflow as tf

from .blocks import ResidualBlock, mlp
from .wrapping import PolarConv2D


class PatchDiscriminator(keras.Model):
    """A discriminator without normalisation, for losses with a penalty of its gradient.

    Spectral normalisation bounds how much the output of a discriminator changes with its input, so
    that it hardly sees structure of low contrast.

    Parameters:
        channels:   Channels at each resolution, the highest first: that of the images, a half, ...
        hidden:     Units of the hidden layers for the whole galaxy.

    >>> discriminator = PatchDiscriminator(channels=(4, 4, 4), hidden=8)
    >>> discriminator(tf.ones([2, 16, 32, 5]), tf.ones([2, 4])).shape
    TensorShape([2])
    """

    def __init__(self, channels: Sequence[int], hidden: int = 96) -> None:
        super().__init__(name="discriminator", dtype="float32")
        self.entry = PolarConv2D(channels[0], 3)
        self.pool = keras.layers.AveragePooling2D(2)
        self.change_channels = [keras.layers.Conv2D(count, 1) for count in channels[1:]]
        self.bias = [keras.layers.Dense(count) for count in channels[1:]]
        self.blocks = [ResidualBlock(count, PolarConv2D) for count in channels[1:]]
        self.patches = PolarConv2D(1, 3)
        self.flatten = keras.Sequential([keras.layers.Conv2D(12, 1), keras.layers.Flatten()])
        self.whole = mlp(1, (hidden, hidden))

    def call(self, images: tf.Tensor, conditions: tf.Tensor, rings: tf.Tensor | None = None
             ) -> tf.Tensor:
        """Judge images.

        Parameters:
            images:         Polar images, [N, R, 2 R, V]; each resolution halves R.
            conditions:     What the galaxies should be like, and how they were observed, [N, C].
            rings:          Numbers of each ring for the judgement of the whole, [N, R * k].
                            [default: none]

        Returns:
            [N]; larger for real galaxies.
        """
        x = self.entry(images)
        patches = tf.zeros([])
        for level, (change, bias, block) in enumerate(
                zip(self.change_channels, self.bias, self.blocks, strict=True)):
            x = change(self.pool(tf.nn.relu(x)))
            x = block(x + bias(conditions)[:, None, None])
            if level == 1:
                patches = tf.cast(tf.reduce_mean(
                    self.patches(tf.nn.relu(x)), axis=[1, 2, 3]), tf.float32)
        x = tf.cast(self.flatten(tf.nn.relu(x)), tf.float32)
        flat = [x, conditions] if rings is None else [x, rings, conditions]
        return patches + self.whole(tf.concat(flat, axis=-1))[:, 0]
