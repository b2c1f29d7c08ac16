"""Encoder of the Flow-VAE for views in the frame of the galaxy."""

__all__ = ["Encoder"]

from collections.abc import Sequence

import keras
import tensorflow as tf

from ....networks.blocks import ResidualBlock, bounded_scale, mlp
from ....networks.nested_grids import Grids, stack_on_coarse_grid


class Encoder(keras.Model):
    """Residual network from images to a diagonal Gaussian q(z | images) and to feature maps.

    Parameters:
        latent_size:    Dimension L of the Gaussian.
        channels:       Channels at each resolution, starting with the highest; each following
                        resolution is half the one before.
        hidden:         Units of the two hidden layers before the output.
        grids:          ``(cells, subcells)`` of each image, see `nested_grids`. The cells of the
                        first one are the highest resolution of the network.

    >>> encoder = Encoder(latent_size=5, channels=(4, 6), hidden=8, grids=[(8, 4), (4, 6)])
    >>> images = [tf.ones([2, 32, 32, 3]), tf.ones([2, 24, 24, 3])]
    >>> mean, scale, features = encoder(images, tf.ones([2, 1]))
    >>> mean.shape, [feature.shape[1:] for feature in features]
    (TensorShape([2, 5]), [TensorShape([8, 8, 4]), TensorShape([4, 4, 6])])
    """

    def __init__(self, latent_size: int, channels: Sequence[int] = (64, 80, 96), hidden: int = 256,
                 grids: Grids = ((24, 4),)) -> None:
        super().__init__(name="encoder", dtype="float32")
        self.grids = grids
        self.pool = keras.layers.AveragePooling2D(2)
        self.change_channels = [keras.layers.Conv2D(count, 1) for count in channels]
        self.blocks = [ResidualBlock(count) for count in channels]
        self.flatten = keras.Sequential([keras.layers.Conv2D(16, 1), keras.layers.Flatten()])
        self.head = mlp(2 * latent_size, (hidden, hidden), output_initializer="zeros")

    def call(self, images: Sequence[tf.Tensor],
             conditions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Encode images.

        Parameters:
            images:         An image on each of the grids, [N, P, P, K] each.
            conditions:     Standardised columns, [N, C].

        Returns:
            (mean [N, L], scale [N, L], feature maps [N, h, w, c], the highest resolution first).
        """
        x = stack_on_coarse_grid(images, self.grids)
        features = []
        for level, (change_channels, block) in enumerate(
                zip(self.change_channels, self.blocks, strict=True)):
            x = block(change_channels(self.pool(x) if level else x))
            features.append(tf.cast(x, tf.float32))
        x = tf.cast(self.flatten(tf.nn.relu(x)), tf.float32)
        mean, raw_scale = tf.split(self.head(tf.concat([x, conditions], axis=-1)), 2, axis=-1)
        # The scale is about 1/e before the fit.
        return mean, bounded_scale(raw_scale - 1.0), features
