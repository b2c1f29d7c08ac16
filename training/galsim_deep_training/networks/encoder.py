"""The encoder: what an observed stamp and its PSF, seen in the galaxy's frame, say about it."""

__all__ = ["Encoder"]

import keras
import tensorflow as tf

from .blocks import ResidualBlock, bounded_scale, dense


class Encoder(keras.Model):
    """Residual network from images to a diagonal Gaussian, and to features by resolution.

    Parameters:
        latent_size:    Dimension L of the Gaussian.
        channels:       Channels at each resolution, from that of the ladder's last rung downwards.
        hidden:         Units of the dense layers before the output.
        grids:          Of what images are seen, a list of (cells, fineness): blocks of fineness^2
                        are rearranged as channels, which loses nothing, and lie on so many cells in
                        the middle of the highest resolution.  The first covers it all.
    """

    def __init__(self, latent_size, channels=(64, 80, 96), hidden=256, grids=((24, 4),)):
        super().__init__(name="encoder", dtype="float32")
        self.grids = grids
        self.pool = keras.layers.AveragePooling2D(2)
        self.widen = [keras.layers.Conv2D(count, 1) for count in channels]
        self.blocks = [ResidualBlock(count) for count in channels]
        self.narrow = keras.Sequential([keras.layers.Conv2D(16, 1), keras.layers.Flatten()])
        self.head = dense(2 * latent_size, (hidden, hidden), last="zeros")

    def call(self, images, context):
        """Encode.

        Parameters:
            images:     On each of the grids, a list of [N, C, C, K].
            context:    Standardised columns, [N, M].

        Returns:
            (mean [N, L], scale [N, L], features): a list of [N, h, w, c], highest resolution first.
        """
        x = tf.concat([self._laid(image, cells, fineness) for image, (cells, fineness)
                       in zip(images, self.grids, strict=True)], axis=-1)
        features = []
        for level, (widen, block) in enumerate(zip(self.widen, self.blocks, strict=True)):
            x = block(widen(self.pool(x) if level else x))
            features.append(tf.cast(x, tf.float32))
        found = self.head(tf.concat(
            [tf.cast(self.narrow(tf.nn.relu(x)), tf.float32), context], axis=-1))
        mean, raw = tf.split(found, 2, axis=-1)
        return mean, bounded_scale(raw - 1.0), features

    def _laid(self, image, cells, fineness):
        """An image on the cells of the highest resolution."""
        edge = (self.grids[0][0] - cells) // 2
        return tf.pad(tf.nn.space_to_depth(image, fineness),
                      [[0, 0], [edge, edge], [edge, edge], [0, 0]])
