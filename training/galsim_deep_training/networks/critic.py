"""The two that look at images: the discriminator and the encoder, which may share what they see.

Residual networks with spectral normalisation (Astorga 2021, tables 8.2 and 8.3).
"""

__all__ = ["CodeEncoder", "Discriminator", "Trunk", "laid"]

import keras
import tensorflow as tf

from .blocks import bounded_scale, dense
from .residual import Down
from .spectral import SpectralConv, SpectralDense


def laid(images, grids):
    """Images on nested grids as channels of the cells of the highest resolution.

    Blocks of fineness^2 are rearranged as channels, which loses nothing.

    Parameters:
        images:     A list of [N, cells * fineness, cells * fineness, K].
        grids:      A list of (cells, fineness); the first covers all, the others its middle.

    Returns:
        [N, cells, cells, channels].
    """
    finest = grids[0][0]

    def lay(image, cells, fineness):
        edge = (finest - cells) // 2
        if fineness > 1:
            image = tf.nn.space_to_depth(image, fineness)
        return tf.pad(image, [[0, 0], [edge, edge], [edge, edge], [0, 0]]) if edge else image

    return tf.concat([lay(image, *grid) for image, grid in zip(images, grids, strict=True)],
                     axis=-1)


class Trunk(keras.Model):
    """The first blocks, which discriminator and encoder may share: images to features.

    Parameters:
        channels:       Of all blocks.
        halvings:       How many of the blocks halve the grid; one more keeps it.
        grids:          Of what images are seen, see `laid`.
    """

    def __init__(self, channels, halvings, grids):
        super().__init__(name="trunk", dtype="float32")
        self.grids = grids
        # Cells of many pixels have many channels.
        self.entry = SpectralConv(channels, 1) if grids[0][1] > 1 else None
        self.blocks = [Down(channels, first=number == 0) for number in range(halvings)]
        self.blocks.append(Down(channels, halves=False, first=not halvings))

    def call(self, images, training=False):
        """A list of [N, C, C, K] -> [N, h, w, channels]."""
        x = laid(images, self.grids)
        if self.entry is not None:
            x = self.entry(x, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return x


class Discriminator(keras.Model):
    """From the features of the trunk to one number, high for what looks real.

    With a class, columns, or both, it judges pairs: psi(h) + <embedding, h>, with the features h
    summed over the image (projection; Miyato & Koyama 2018).  That is linear in what is beside it;
    where sources of one class are small and those of another large, or their size goes with a
    column, a layer that sees both can add what the projection cannot say.

    Parameters:
        channels:       Of its block.
        conditional:    Whether there is anything to judge beside the image.
        joint:          Units of the layer that sees both; 0 for none.
    """

    def __init__(self, channels, conditional, joint=0):
        super().__init__(name="discriminator", dtype="float32")
        self.block = Down(channels, halves=False)
        self.last = SpectralDense(1, dtype="float32")
        self.embed = SpectralDense(channels, use_bias=False,
                                   dtype="float32") if conditional else None
        self.joint = [SpectralDense(joint, dtype="float32"),
                      SpectralDense(1, dtype="float32")] if conditional and joint else None

    def call(self, features, beside, training=False):
        """[N, h, w, c], [N, B] -> [N]; without conditions the second may have no columns."""
        x = tf.nn.relu(self.block(features, training=training))
        x = tf.reduce_sum(tf.cast(x, tf.float32), axis=[1, 2])
        judged = self.last(x, training=training)[:, 0]
        if self.embed is not None:
            judged += tf.reduce_sum(self.embed(beside, training=training) * x, axis=-1)
        if self.joint is not None:
            first, last = self.joint
            # Features of large sources must not drown a class.
            both = tf.concat([tf.math.log1p(x), beside], axis=-1)
            judged += last(tf.nn.relu(first(both, training=training)), training=training)[:, 0]
        return judged


class CodeEncoder(keras.Model):
    """From the features of the trunk to the Gaussian q(z | x).

    Parameters:
        latent_size:    J.
        channels:       Of its blocks.
        cells:          Cells on a side of the features.
        hidden:         Units of the layer before each of the two heads.
    """

    def __init__(self, latent_size, channels, cells, hidden):
        super().__init__(name="encoder", dtype="float32")
        self.blocks = []
        while cells > 3 or not self.blocks:
            self.blocks.append(Down(channels))
            cells //= 2
        self.flatten = keras.layers.Flatten()
        self.heads = [[SpectralDense(hidden), dense(latent_size)] for _ in range(2)]

    def call(self, features, context, training=False):
        """[N, h, w, c], columns [N, C] -> mean and scale, [N, J] each."""
        x = features
        for block in self.blocks:
            x = block(x, training=training)
        x = tf.concat([tf.cast(self.flatten(tf.nn.relu(x)), tf.float32), context], axis=-1)
        mean, raw = (last(tf.nn.relu(first(x, training=training))) for first, last in self.heads)
        return mean, bounded_scale(raw)
