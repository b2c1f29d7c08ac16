"""The generator of a conditional GAN: from a latent, its class and columns to numbers on grids."""

__all__ = ["INJECTIONS", "Generator"]

import keras
import tensorflow as tf

from .blocks import dense
from .patches import Patches, leave
from .residual import Up
from .spectral import SpectralDense
from .standing_norm import StandingNorm

INJECTIONS = ("split", "copy", "class")


class Generator(keras.Model):
    """A BigGAN-style residual network (Astorga 2021, section 8.1.4, table 8.1).

    Latent and class reach the normalisation layers in one of three ways:

    * ``split``: a piece of the latent for the entry and one for each block, with an embedding of
      the class that all blocks share;
    * ``copy``: the whole latent everywhere, with that embedding;
    * ``class``: the whole latent at the entry; the class alone at the blocks, each of which has
      an embedding of its own.

    Columns, where there are any, go through a small network and to all blocks.

    Parameters:
        latent_size:    J; for ``split`` a multiple of the number of blocks and one.
        classes:        K.
        start:          Cells on a side where the network begins.
        blocks:         How many residual blocks there are, each of which doubles the grid.
        channels:       Of all blocks.
        grids:          What comes out, a list of (cells, fineness), see `networks.ladder.Ladder`.
        scalars:        Numbers that come out besides.
        injection:      One of `INJECTIONS`.
        hidden:         Units of the network of the columns, and of that of the scalars.
    """

    def __init__(self, latent_size, classes, start, blocks, channels, grids, scalars=0,
                 injection="copy", hidden=32):
        super().__init__(name="generator", dtype="float32")
        self.start, self.channels, self.grids = start, channels, grids
        self.finest = start * 2**blocks
        self.injection = injection
        if injection == "split" and latent_size % (blocks + 1):
            raise ValueError(f"{latent_size} latents cannot be cut into {blocks + 1} equal pieces.")
        self.embed = (None if injection == "class" else
                      SpectralDense(latent_size, use_bias=False, dtype="float32"))
        self.widen = dense(hidden, (hidden,))
        self.entry = SpectralDense(start**2 * channels)
        self.blocks = [Up(channels) for _ in range(blocks)]
        self.norm = StandingNorm(conditional=False)
        # Not from zero: an adversary would be far ahead before anything is drawn.
        first = keras.initializers.RandomNormal(stddev=0.05)
        self.exits = [Patches(fineness, "same" if cells == self.finest else "valid", first)
                      for cells, fineness in grids]
        self.numbers = dense(scalars, (hidden,), last="zeros") if scalars else None

    def build(self, *_):
        """Its parts are built as they are first called."""

    def call(self, latent, classes, context, training=False, batchwise=False):
        """Generate.

        Parameters:
            latent:     [N, J].
            classes:    One-hot, [N, K].
            context:    Standardised columns, [N, C]; C may be 0.
            batchwise:  Whether to normalise by the batch at hand, as in training, see
                        `StandingNorm`.

        Returns:
            (numbers on the grids, a list of [N, C, C]; [N, scalars], or None without any).
        """
        first, conditions = self._conditions(latent, classes, context, training)
        x = self.entry(first, training=training)
        x = tf.reshape(x, [-1, self.start, self.start, self.channels])
        for block, condition in zip(self.blocks, conditions, strict=True):
            x = block(x, condition, training=training, batchwise=batchwise)
        x = tf.nn.relu(self.norm(x, training=training, batchwise=batchwise))
        scalars = None if self.numbers is None else self.numbers(
            tf.concat([latent, classes, context], axis=-1))
        return leave(x, self.exits, self.grids), scalars

    def _conditions(self, latent, classes, context, training):
        """What the entry is given, and what each block is."""
        count = len(self.blocks)
        columns = [self.widen(context)] if context.shape[-1] else []
        if self.injection == "class":
            return tf.concat([latent, *columns], -1), [tf.concat([classes, *columns], -1)] * count
        embedding = self.embed(classes, training=training)
        if self.injection == "copy":
            return latent, [tf.concat([embedding, latent, *columns], axis=-1)] * count
        first, *pieces = tf.split(latent, count + 1, axis=-1)
        return first, [tf.concat([embedding, piece, *columns], axis=-1) for piece in pieces]
