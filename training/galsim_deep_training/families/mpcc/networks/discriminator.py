"""Discriminator and encoder of MPCC, which optionally share their first blocks, the trunk.

Residual networks with spectral normalisation (Astorga 2021, tables 8.2 and 8.3).
"""

__all__ = ["Discriminator", "LatentEncoder", "Trunk"]

from collections.abc import Sequence

import keras
import tensorflow as tf

from ....networks.blocks import bounded_scale, mlp
from ....networks.nested_grids import Grids, stack_on_coarse_grid
from ....networks.residual import ResBlockDown
from ....networks.spectral import SpectralConv, SpectralDense


class Trunk(keras.Model):
    """The first blocks of discriminator and encoder: images to features.

    Parameters:
        channels:       Channels of all blocks.
        halvings:       Number of blocks that halve the resolution; one more block follows.
        grids:          ``(cells, subcells)`` of each image, see `nested_grids`.
        wraps:          Whether the images are polar grids, see `networks.wrapping`, which have
                        twice as many columns as rows.

    >>> Trunk(channels=8, halvings=1, grids=[(8, 2)])([tf.ones([2, 16, 16, 3])]).shape
    TensorShape([2, 4, 4, 8])
    """

    def __init__(self, channels: int, halvings: int, grids: Grids, wraps: bool = False) -> None:
        super().__init__(name="trunk", dtype="float32")
        self.grids = grids
        # Cells of many pixels have many channels, which are reduced first.
        self.entry = SpectralConv(channels, 1) if grids[0][1] > 1 else None
        self.blocks = [ResBlockDown(channels, first=number == 0, wraps=wraps)
                       for number in range(halvings)]
        self.blocks.append(
            ResBlockDown(channels, downsample=False, first=not halvings, wraps=wraps))

    def call(self, images: Sequence[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Compute features [N, h, w, channels] of images on each of the grids.

        These are [N, P, P, K], or [N, P, 2 P, K] if they are polar.
        """
        x = stack_on_coarse_grid(images, self.grids)
        if self.entry is not None:
            x = self.entry(x, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return x


class Discriminator(keras.Model):
    """Scores the features of a trunk: high for images that look real.

    With conditions y (classes, columns or both), the score of image and conditions is
    ``psi(h) + <embedding(y), h>`` (projection discriminator; Miyato & Koyama 2018,
    arXiv:1802.05637), where h are the features summed over the image. The projection is linear in
    y. An additional layer of features and conditions jointly can express what the projection
    cannot, such as a relation between size and a column.

    Parameters:
        channels:       Channels of the block.
        conditional:    Whether there are conditions.
        joint:          Units of the joint layer; 0 for none.
        wraps:          As for `Trunk`.

    >>> discriminator = Discriminator(channels=8, conditional=True)
    >>> discriminator(tf.ones([2, 4, 4, 8]), tf.ones([2, 3])).shape
    TensorShape([2])
    """

    def __init__(self, channels: int, conditional: bool, joint: int = 0,
                 wraps: bool = False) -> None:
        super().__init__(name="discriminator", dtype="float32")
        self.block = ResBlockDown(channels, downsample=False, wraps=wraps)
        self.last = SpectralDense(1, dtype="float32")
        self.embed = SpectralDense(channels, use_bias=False,
                                   dtype="float32") if conditional else None
        self.joint = [SpectralDense(joint, dtype="float32"),
                      SpectralDense(1, dtype="float32")] if conditional and joint else None

    def call(self, features: tf.Tensor, conditions: tf.Tensor,
             training: bool = False) -> tf.Tensor:
        """Score features.

        Parameters:
            features:       Features of a `Trunk`, [N, h, w, c].
            conditions:     [N, B]; [N, 0] if there are none.
            training:       Whether to update the spectral norms.

        Returns:
            [N].
        """
        x = tf.nn.relu(self.block(features, training=training))
        x = tf.reduce_sum(tf.cast(x, tf.float32), axis=[1, 2])
        score = self.last(x, training=training)[:, 0]
        if self.embed is not None:
            score += tf.reduce_sum(self.embed(conditions, training=training) * x, axis=-1)
        if self.joint is not None:
            first, last = self.joint
            # The logarithm prevents large sources from drowning the conditions.
            both = tf.concat([tf.math.log1p(x), conditions], axis=-1)
            score += last(tf.nn.relu(first(both, training=training)), training=training)[:, 0]
        return score


class LatentEncoder(keras.Model):
    """Encodes the features of a trunk as a diagonal Gaussian q(z | x).

    Parameters:
        latent_size:    Dimension of the latent, J.
        channels:       Channels of the blocks.
        cells:          Rows of the features; the blocks halve them to 3 or fewer.
        hidden:         Units of the hidden layer of each of the two heads, mean and scale.
        wraps:          As for `Trunk`.

    >>> encoder = LatentEncoder(latent_size=5, channels=8, cells=4, hidden=8)
    >>> mean, scale = encoder(tf.ones([2, 4, 4, 8]), tf.ones([2, 3]))
    >>> mean.shape
    TensorShape([2, 5])
    """

    def __init__(self, latent_size: int, channels: int, cells: int, hidden: int,
                 wraps: bool = False) -> None:
        super().__init__(name="encoder", dtype="float32")
        self.blocks: list[ResBlockDown] = []
        while cells > 3 or not self.blocks:
            self.blocks.append(ResBlockDown(channels, wraps=wraps))
            cells //= 2
        self.flatten = keras.layers.Flatten()
        self.heads = [[SpectralDense(hidden), mlp(latent_size)] for _ in range(2)]

    def call(self, features: tf.Tensor, conditions: tf.Tensor,
             training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Encode features.

        Parameters:
            features:       Features of a `Trunk`, [N, h, w, c].
            conditions:     Standardised columns, [N, C]; [N, 0] if there are none.
            training:       Whether to update the spectral norms.

        Returns:
            (mean, scale), [N, J] each.
        """
        x = features
        for block in self.blocks:
            x = block(x, training=training)
        x = tf.concat([tf.cast(self.flatten(tf.nn.relu(x)), tf.float32), conditions], axis=-1)
        mean, raw_scale = (last(tf.nn.relu(first(x, training=training)))
                           for first, last in self.heads)
        return mean, bounded_scale(raw_scale)
