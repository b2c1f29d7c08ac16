"""The ladder: a decoder with a latent at every resolution, and its inference (top-down) network.

A single vector of latents cannot say where each knot of a galaxy is, and a decoder that is not told
answers with the average of all possibilities: a smooth galaxy.  Here the vector says what kind of
galaxy it is; maps of latents at rising resolutions, standard normal a priori, add what is left
open, as in ladder VAEs (Sonderby et al. 2016; Child 2021).
"""

__all__ = ["Ladder"]

import keras
import tensorflow as tf

from .blocks import ResidualBlock, bounded_scale, dense
from .patches import Patches, finer, leave


class Ladder(keras.Model):
    """From a vector latent, the columns and maps of latents to numbers on nested grids.

    Parameters:
        base:           Cells B on a side of the lowest resolution.
        channels:       Channels at B, 2 B, 4 B, ... cells.
        maps:           How many maps of latents there are at each of these resolutions.
        hidden:         Units of the dense layer that starts the network.
        start:          Channels that this layer makes at the lowest resolution.
        grids:          What comes out, a list of (cells, fineness): of the highest resolution the
                        so many cells in the middle, each divided into so many along each axis, see
                        `patches.Patches`.
    """

    def __init__(self, base, channels, maps, hidden=192, start=32, grids=((24, 2), (10, 8))):
        super().__init__(name="ladder", dtype="float32")
        self.base, self.start, self.grids = base, start, grids
        self.finest = base * 2 ** (len(channels) - 1)
        for cells, _ in grids:
            if cells > self.finest or (self.finest - cells) % 2:
                raise ValueError(f"The middle {cells} of {self.finest} cells cannot be had.")
        self.entry = dense(self.base**2 * start, (hidden,))
        self.rungs = [Rung(count, levels, doubles=level > 0)
                      for level, (count, levels) in enumerate(zip(channels, maps, strict=True))]
        self.exits = [Patches(fineness, "same" if cells == self.finest else "valid")
                      for cells, fineness in grids]
        self.map_shapes = [(self.base * 2**level, self.base * 2**level, count)
                           for level, count in enumerate(maps)]

    def call(self, vector, context, maps):
        """Decode: vector [N, L], context [N, K], maps [N, h, w, m] each -> a list of [N, C, C]."""
        x = self._begin(vector, context)
        for rung, latent in zip(self.rungs, maps, strict=True):
            x = rung(rung.enter(x), latent)
        return self._end(x)

    def infer(self, vector, context, features, noise):
        """Decode with the maps that the features of an observed stamp suggest.

        Parameters:
            vector:     [N, L].
            context:    [N, K].
            features:   The encoder's features, a list of [N, h, w, c] as the maps are sized.
            noise:      Standard normal numbers, a list of the maps' shapes; zeros for the mean.

        Returns:
            (numbers, a list of [N, C, C]; [(mean, scale), ...] of the maps).
        """
        x = self._begin(vector, context)
        found = []
        for rung, seen, normal in zip(self.rungs, features, noise, strict=True):
            x = rung.enter(x)
            mean, scale = rung.suggest(x, seen)
            found.append((mean, scale))
            x = rung(x, mean + scale * normal)
        return self._end(x), found

    def _begin(self, vector, context):
        x = self.entry(tf.concat([vector, context], axis=-1))
        return tf.reshape(x, [-1, self.base, self.base, self.start])

    def _end(self, x):
        return leave(tf.nn.relu(x), self.exits, self.grids)


class Rung(keras.layers.Layer):
    """One resolution: doubles the grid, takes in the latent maps, works on the sum.

    How strongly a map acts at a place is decided by what is there already.
    """

    def __init__(self, channels, maps, doubles):
        super().__init__()
        self.doubles, self.maps = doubles, maps
        self.widen = keras.layers.Conv2D(4 * channels if doubles else channels, 1)
        self.block = ResidualBlock(channels)
        if maps:
            half = max(channels // 2, 16)
            self.strength = keras.layers.Conv2D(maps, 1)
            self.inject = keras.layers.Conv2D(channels, 1)
            self.judge = keras.Sequential([
                keras.layers.Conv2D(half, 1), keras.layers.Activation("relu"),
                keras.layers.Conv2D(half, 3, padding="same"), keras.layers.Activation("relu"),
                keras.layers.Conv2D(2 * maps, 3, padding="same", kernel_initializer="zeros",
                                    dtype="float32")])

    def build(self, *_):
        """Its parts are built as they are first called."""

    def enter(self, x):
        """[N, h, w, c] -> [N, 2h, 2w, channels]; the first rung keeps the grid."""
        x = self.widen(x)
        return finer(x, 2) if self.doubles else x

    def suggest(self, x, features):
        """Mean and scale of the maps given what was decoded so far and the encoder's features."""
        if not self.maps:
            nothing = tf.zeros_like(features[..., :0])
            return nothing, nothing
        both = tf.concat([tf.cast(x, tf.float32), features], axis=-1)
        mean, raw = tf.split(self.judge(tf.nn.relu(both)), 2, axis=-1)
        return mean, bounded_scale(raw)

    def call(self, x, maps):
        if self.maps:
            x += self.inject(maps * self.strength(tf.nn.relu(x)))
        return self.block(x)
