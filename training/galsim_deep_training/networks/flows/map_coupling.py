"""A coupling flow of maps of latents, whose conditioners are convolutional networks."""

__all__ = ["MapConditioner", "MapCouplingFlow"]

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError
from numpy.typing import NDArray
from tensorflow_probability import bijectors as tfb

from ...settings import Channels, Layers
from ...settings import Settings as BaseSettings
from ..blocks import ACTIVATION, Shape
from .base import MapFlow
from .conditioner import Conditioner
from .transforms import CouplingBijector, affine


class MapCouplingFlow(MapFlow, kind="map_coupling"):
    """The joint distribution of maps of latents at several resolutions, given conditions.

    All maps are rearranged to channels on the grid of the lowest resolution (space to depth). A
    coupling layer keeps one half of the channels of each cell and applies affine functions to the
    other half; the halves are exchanged from layer to layer. A random permutation of the channels
    determines the halves. A final affine transformation depends on the conditions.

    Parameters:
        settings:   An instance of ``Settings``.
        shapes:     (height, width, maps) at each resolution, a multiple of the lowest one.
        seed:       Determines the permutation of the channels.

    Raises a `galsim.GalSimConfigError` if there are fewer than two channels, and a `ValueError` if
    maps do not fit on the grid.

    >>> flow = MapCouplingFlow(MapCouplingFlow.Settings(layers=2), [(2, 2, 2), (4, 4, 1)])
    >>> flow.latent_size
    24
    """

    format = 2

    class Settings(BaseSettings):
        """Settings in a recipe."""

        layers: Layers = 8
        """Number of coupling layers."""
        hidden: Channels = 64
        """Channels of the hidden layers of the conditioners."""
        shared: Channels = 16
        """Channels of the map that is computed from the conditions, once for all layers."""

    def __init__(self, settings: Settings, shapes: Sequence[tuple[int, int, int]],
                 seed: int = 0) -> None:
        shapes = [shape for shape in shapes if np.prod(shape)]
        super().__init__(sum(int(np.prod(shape)) for shape in shapes))
        hidden, shared = settings.hidden, settings.shared
        self.grid = min(shape[:2] for shape in shapes)
        cells = self.grid[0] * self.grid[1]
        self.channels = self.latent_size // cells
        order = _order_on_grid(shapes, self.grid).reshape(-1, self.channels)
        permutation = np.random.default_rng(seed).permutation(self.channels)
        self.order: NDArray[np.int_] = order[:, permutation].ravel()
        self.kept = self.channels // 2
        if not self.kept:
            raise GalSimConfigError(
                "A flow of maps needs two or more channels on the grid of the lowest resolution, "
                "but there is only one. Increase the number of maps of latents in the recipe, or "
                "set all of them to 0.")
        self.entry = Conditioner((2 * hidden,), cells * shared,
                                 output_initializer="glorot_uniform")
        self.unfold = keras.layers.Reshape((*self.grid, shared), dtype="float32")
        self.conditioners = [MapConditioner(hidden, 2 * (self.channels - self.kept))
                             for _ in range(settings.layers)]
        self.final = keras.layers.Conv2D(
            2 * self.channels, 1, kernel_initializer="zeros", dtype="float32")

    def build(self, conditions_shape: Shape) -> None:
        self.entry.build((None, 0), conditions_shape)
        condition_map = (None, *self.grid, self.unfold.target_shape[-1])
        for conditioner in self.conditioners:
            conditioner.build((None, *self.grid, self.kept), condition_map)
        self.final.build(condition_map)
        super().build(conditions_shape)

    def transforms(self, conditions: tf.Tensor) -> list[tfb.Bijector]:
        condition_map = self.unfold(self.entry(conditions[:, :0], conditions))
        shift, log_scale = tf.split(self.final(condition_map), 2, axis=-1)
        grid = [*self.grid, self.channels]
        couplings = [
            CouplingBijector(self.kept, _univariate(conditioner, condition_map),
                             keep_last=bool(number % 2))
            for number, conditioner in enumerate(self.conditioners)]
        # The normal numbers are in the order of the grid, the latents in that of the maps.
        return [tfb.Permute(np.argsort(self.order).astype(np.int32), name="permute"),
                tfb.Reshape([self.latent_size], grid, name="flatten"),
                affine(shift, log_scale, bound=3.0),
                *couplings,
                tfb.Reshape(grid, [self.latent_size], name="unflatten")]


class MapConditioner(keras.layers.Layer):
    """Convolutional conditioner of a coupling layer on a grid.

    A 3x3 convolution takes the neighbourhood of each cell into account, and the mean over the grid
    takes the galaxy as a whole. The output layer starts with zeros, so that the flow starts as the
    identity.

    Parameters:
        hidden:     Channels of the hidden layers.
        units:      Channels of the output.

    >>> MapConditioner(8, 3)(tf.ones([2, 4, 4, 2]), tf.ones([2, 4, 4, 5])).shape
    TensorShape([2, 4, 4, 3])
    """

    def __init__(self, hidden: int, units: int) -> None:
        super().__init__(dtype="float32")
        self.first = keras.layers.Conv2D(hidden, 1, dtype="float32",
                                         kernel_initializer="he_normal")
        self.second = keras.layers.Conv2D(hidden, 3, padding="same", dtype="float32",
                                          kernel_initializer="he_normal")
        self.whole = keras.layers.Dense(hidden, dtype="float32")
        self.last = keras.layers.Conv2D(units, 1, kernel_initializer="zeros", dtype="float32")

    def build(self, kept_shape: Shape, condition_map_shape: Shape) -> None:
        self.first.build((*kept_shape[:-1], kept_shape[-1] + condition_map_shape[-1]))
        hidden_shape = (*kept_shape[:-1], self.first.filters)
        self.whole.build((None, self.first.filters))
        self.second.build(hidden_shape)
        self.last.build(hidden_shape)
        super().build((kept_shape, condition_map_shape))

    def call(self, kept: tf.Tensor, condition_map: tf.Tensor) -> tf.Tensor:
        """Compute parameters [N, G, G, units] from channels [N, G, G, ...] that are kept."""
        activation = keras.activations.get(ACTIVATION)
        x = activation(self.first(tf.concat([kept, condition_map], axis=-1)))
        whole = self.whole(tf.reduce_mean(x, axis=[1, 2]))
        return self.last(activation(self.second(x) + whole[:, None, None]))


def _univariate(conditioner: MapConditioner,
                condition_map: tf.Tensor) -> Callable[[tf.Tensor], tfb.Bijector]:
    """The affine functions of a coupling layer, as a function of the channels that are kept."""
    def functions(kept: tf.Tensor) -> tfb.Bijector:
        shift, log_scale = tf.split(conditioner(kept, condition_map), 2, axis=-1)
        return affine(shift, log_scale)

    return functions


def _order_on_grid(shapes: Sequence[tuple[int, int, int]],
                   grid: tuple[int, int]) -> NDArray[np.int_]:
    """Indices of the numbers of the flattened maps in the order of the grid, [G * H * channels]."""
    blocks, start = [], 0
    for height, width, count in shapes:
        factor = height // grid[0]
        if (height, width) != (factor * grid[0], factor * grid[1]):
            raise ValueError(f"Maps of {height} x {width} do not fit on a grid of {grid[0]} x "
                             f"{grid[1]}.")
        number = start + np.arange(height * width * count).reshape(
            grid[0], factor, grid[1], factor, count)
        blocks.append(number.transpose(0, 2, 1, 3, 4).reshape(*grid, -1))
        start += height * width * count
    return np.concatenate(blocks, axis=-1).ravel()
