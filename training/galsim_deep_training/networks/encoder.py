"""The encoder: what an observed stamp and its PSF, seen in the galaxy's frame, say about it."""

__all__ = ["Encoder"]

import keras
import tensorflow as tf

from .blocks import ResidualBlock, bounded_scale, dense


class Encoder(keras.Model):
    """Residual network from images to a diagonal Gaussian, and to features by resolution.

    Parameters:
        latent_size:    Dimension L of the Gaussian.
        channels:       Channels at each resolution, from a quarter of the grid downwards: blocks of
                        4 x 4 cells are rearranged as channels, which loses nothing.
        hidden:         Units of the dense layers before the output.
    """

    def __init__(self, latent_size, channels=(64, 80, 96), hidden=256):
        super().__init__(name="encoder")
        self.pool = keras.layers.AveragePooling2D(2)
        self.widen = [keras.layers.Conv2D(count, 1) for count in channels]
        self.blocks = [ResidualBlock(count) for count in channels]
        self.narrow = keras.Sequential([keras.layers.Conv2D(16, 1), keras.layers.Flatten()])
        self.head = dense(2 * latent_size, (hidden, hidden), last="zeros")

    def call(self, images, context):
        """Encode.

        Parameters:
            images:     [N, C, C, K].
            context:    Standardised columns, [N, M].

        Returns:
            (mean [N, L], scale [N, L], features): a list of [N, C/4, C/4, c], [N, C/8, C/8, c], ...
        """
        x = tf.nn.space_to_depth(images, 4)
        features = []
        for level, (widen, block) in enumerate(zip(self.widen, self.blocks, strict=True)):
            x = block(widen(self.pool(x) if level else x))
            features.append(x)
        found = self.head(tf.concat([self.narrow(tf.nn.relu(x)), context], axis=-1))
        mean, raw = tf.split(found, 2, axis=-1)
        return mean, bounded_scale(raw - 1.0), features
