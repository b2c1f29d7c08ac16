"""A flow for maps of latents: affine couplings whose networks are convolutions."""

__all__ = ["MapFlow"]

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ...bounds import Channels, Layers
from ..blocks import ACTIVATION
from .base import Conditioner, Flow, bounded, tfb
from .coupling import Coupling


class MapFlow(Flow):
    """The joint distribution of maps at several resolutions, given a context.

    Maps of a higher resolution are cut into blocks that become channels, so that all lie on the
    grid of the lowest. The couplings keep half of the channels of every cell and shift and scale
    the others, by turns; which channel is in which half is drawn once.

    Parameters:
        shapes:     Shapes of the maps, a list of (h, w, channels); each resolution a multiple of
                    the lowest.
        layers:     How many couplings.
        hidden:     Channels inside of their networks.
        shared:     Channels that the context is made into, once for all couplings.
        seed:       Draws the halves.
    """

    format = 2

    def __init__(self, shapes, layers: Layers = 8, hidden: Channels = 64, shared: Channels = 16,
                 seed=0):
        shapes = [shape for shape in shapes if np.prod(shape)]
        super().__init__(sum(int(np.prod(shape)) for shape in shapes))
        self.grid = min(height for height, _, _ in shapes)
        self.channels = self.latent_size // self.grid**2
        order = _to_grid(shapes, self.grid).reshape(-1, self.channels)
        mixed = np.random.default_rng(seed).permutation(self.channels)
        self.order = order[:, mixed].ravel()
        self.kept = self.channels // 2
        if not self.kept:
            raise GalSimConfigError(
                "A flow of maps needs two channels or more on its grid. Ask for more maps of "
                "latents, or for none.")
        self.entry = Conditioner((2 * hidden,), self.grid**2 * shared, last="glorot_uniform")
        self.unfold = keras.layers.Reshape((self.grid, self.grid, shared), dtype="float32")
        self.conditioners = [
            MapConditioner(hidden, 2 * (self.channels - self.kept)) for _ in range(layers)]
        self.outer = keras.layers.Conv2D(
            2 * self.channels, 1, kernel_initializer="zeros", dtype="float32")

    def build(self, context_shape):
        self.entry.build((None, 0), context_shape)
        seen = (None, self.grid, self.grid, self.unfold.target_shape[-1])
        for conditioner in self.conditioners:
            conditioner.build((None, self.grid, self.grid, self.kept), seen)
        self.outer.build(seen)
        super().build(context_shape)

    def steps(self, context):
        seen = self.unfold(self.entry(context[:, :0], context))
        shift, log_scale = tf.split(self.outer(seen), 2, axis=-1)
        grid = [self.grid, self.grid, self.channels]
        # As a map of the flat latent: out of the grid comes the order of the maps.
        steps = [tfb.Permute(np.argsort(self.order).astype(np.int32), name="permute"),
                 tfb.Reshape([self.latent_size], grid, name="flatten"),
                 tfb.Shift(shift)(tfb.Scale(log_scale=bounded(log_scale, 3.0)))]
        steps += [Coupling(self.kept, _affine(conditioner, seen), last=bool(number % 2))
                  for number, conditioner in enumerate(self.conditioners)]
        return [*steps, tfb.Reshape(grid, [self.latent_size], name="unflatten")]


class MapConditioner(keras.layers.Layer):
    """What the kept channels and the context say about the others: [N, G, G, ...] -> units.

    A convolution for the neighbourhood, and the mean over the grid for the galaxy as a whole.
    The last layer starts from zero, so that a flow starts as the identity.
    """

    def __init__(self, hidden, units):
        super().__init__(dtype="float32")
        self.first = keras.layers.Conv2D(hidden, 1, dtype="float32",
                                         kernel_initializer="he_normal")
        self.second = keras.layers.Conv2D(hidden, 3, padding="same", dtype="float32",
                                          kernel_initializer="he_normal")
        self.whole = keras.layers.Dense(hidden, dtype="float32")
        self.last = keras.layers.Conv2D(units, 1, kernel_initializer="zeros", dtype="float32")

    def build(self, kept_shape, seen_shape):
        self.first.build((*kept_shape[:-1], kept_shape[-1] + seen_shape[-1]))
        inner = (*kept_shape[:-1], self.first.filters)
        self.whole.build((None, self.first.filters))
        self.second.build(inner)
        self.last.build(inner)
        super().build((kept_shape, seen_shape))

    def call(self, kept, seen):
        activation = keras.activations.get(ACTIVATION)
        x = activation(self.first(tf.concat([kept, seen], axis=-1)))
        whole = self.whole(tf.reduce_mean(x, axis=[1, 2]))
        return self.last(activation(self.second(x) + whole[:, None, None]))


def _affine(conditioner, seen):
    def scalar_bijector(kept):
        shift, log_scale = tf.split(conditioner(kept, seen), 2, axis=-1)
        return tfb.Shift(shift)(tfb.Scale(log_scale=bounded(log_scale)))

    return scalar_bijector


def _to_grid(shapes, grid):
    """For each number of the grid [G, G, C] in turn, which number of the maps it is."""
    blocks, start = [], 0
    for height, width, count in shapes:
        if height != width or height % grid:
            raise ValueError(f"Maps of {height} x {width} do not fit on a grid of {grid} x {grid}.")
        finer = height // grid
        number = start + np.arange(height * width * count).reshape(
            grid, finer, grid, finer, count)
        blocks.append(number.transpose(0, 2, 1, 3, 4).reshape(grid, grid, -1))
        start += height * width * count
    return np.concatenate(blocks, axis=-1).ravel()
