"""From features in coarse cells to numbers in fine ones, without a trace of the coarse grid."""

__all__ = ["Patches", "finer", "leave"]

import keras
import numpy as np
import tensorflow as tf
from scipy import fft

REACH = 3
"""Coarse cells that a patch is wide."""


class Patches(keras.layers.Layer):
    """Each cell paints a patch on itself and its neighbours, fine cell by fine cell.

    To rearrange the channels of a convolution into fine cells is the same, but for three things.
    There patches end where they end, and the fine cells inside of a coarse one are learned apart
    from each other: small galaxies do not show them, so that what large ones show is a lattice.
    Here patches fade out (a quadratic B-spline), their fine detail is learned more slowly than
    their coarse shape, and features that are the same everywhere give numbers that are (but in the
    outermost cells, which lack neighbours).

    Parameters:
        fineness:       Fine cells along each side of a coarse one.
        padding:        Of the convolution: ``same``, or ``valid`` where the outermost features are
                        there for their neighbours' sake alone.
        first:          Initialises the weights.  [default: "zeros": what is drawn first is the
                        bare envelope]
    """

    def __init__(self, fineness, padding="same", first="zeros"):
        super().__init__(dtype="float32")
        self.fineness, self.padding, self.first = fineness, padding, first
        place = (np.arange(REACH * fineness) + 0.5) / fineness - 0.5 * REACH
        self.fading = _spline(place).astype(np.float32)
        self.shaping = (self.fading[:, None] * _slow(REACH * fineness)).astype(np.float32)

    def build(self, features_shape):
        side = REACH * self.fineness
        self.weight = self.add_weight(shape=(side, side, features_shape[-1]),
                                      initializer=self.first, name="weight")
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")
        super().build(features_shape)

    def call(self, features):
        """[N, h, w, c] -> [N, H, W], finer by ``fineness``."""
        fine = tf.nn.conv2d(tf.cast(features, tf.float32), self.kernel(), 1, self.padding.upper())
        return finer(fine, self.fineness)[..., 0] + self.bias

    def kernel(self):
        """Of the convolution whose channels are fine cells: [3, 3, c, fineness^2]."""
        patches = tf.einsum("ap,pqc,bq->abc", self.shaping, self.weight, self.shaping)
        cells = [REACH, self.fineness]
        patches = tf.reshape(patches, [*cells, *cells, -1])
        fading = tf.reshape(self.fading, cells)
        # What equal features give in each fine cell, less its mean over them.
        uneven = tf.reduce_sum(patches, axis=[0, 2], keepdims=True)
        uneven -= tf.reduce_mean(uneven, axis=[1, 3], keepdims=True)
        patches -= fading[:, :, None, None, None] * fading[:, :, None] * uneven
        # A convolution looks from the fine cell to the coarse one, a patch the other way.
        patches = tf.transpose(tf.reverse(patches, axis=[0, 2]), [0, 2, 4, 1, 3])
        return tf.reshape(patches, [REACH, REACH, -1, self.fineness**2])


def leave(features, exits, grids):
    """Numbers on nested grids, from features on the coarse cells of the widest.

    Parameters:
        features:       [N, h, h, c].
        exits:          A `Patches` for each grid; with the padding ``valid`` where a grid covers
                        the middle only.
        grids:          A list of (cells, fineness).

    Returns:
        a list of [N, cells * fineness, cells * fineness].
    """
    finest = features.shape[1]
    numbers = []
    for (cells, _), patches in zip(grids, exits, strict=True):
        # With what the convolution sees around the middle.
        cut = max((finest - cells) // 2 - 1, 0)
        numbers.append(patches(features[:, cut:finest - cut, cut:finest - cut]))
    return numbers


def finer(x, factor):
    """`tf.nn.depth_to_space`, but several times as fast on a processor."""
    height, width, channels = x.shape[1:]
    x = tf.reshape(x, [-1, height, width, factor, factor, channels // factor**2])
    return tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4, 5]),
                      [-1, height * factor, width * factor, channels // factor**2])


def _spline(x):
    """The quadratic B-spline: three cells wide; those of neighbours add up to one."""
    x = np.abs(x)
    return np.where(x < 0.5, 0.75 - x**2, 0.5 * np.maximum(1.5 - x, 0.0) ** 2)


def _slow(size, scale=4.0):
    """A symmetric matrix [size, size] that lets waves pass, weaker the shorter they are."""
    waves = fft.dct(np.eye(size), norm="ortho", axis=0)
    return waves.T @ (waves / np.sqrt(1 + (np.arange(size) / scale) ** 2)[:, None])
