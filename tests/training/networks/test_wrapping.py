"""Padding of polar grids, and the layers that use it."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.residual import ResBlockDown, ResBlockUp
from galsim_deep_training.networks.spectral import SpectralConv
from galsim_deep_training.networks.wrapping import wrapped


def normal(*shape):
    return tf.constant(np.random.default_rng(1).standard_normal(shape), tf.float32)


def test_columns_are_periodic_and_rows_are_not():
    padded = wrapped(tf.reshape(tf.range(6.0), [1, 2, 3, 1]))[0, :, :, 0].numpy()
    np.testing.assert_array_equal(padded, [[2, 0, 1, 2, 0], [2, 0, 1, 2, 0],
                                           [5, 3, 4, 5, 3], [5, 3, 4, 5, 3]])


CONDITION = normal(2, 3)
# A layer, how it changes the resolution, and what it needs besides the images.
LAYERS = {"convolution": (lambda: SpectralConv(5, 3, wraps=True), 1, ()),
          "up": (lambda: ResBlockUp(5, wraps=True), 2, (CONDITION,)),
          "down": (lambda: ResBlockDown(5, wraps=True), 0.5, ()),
          "first": (lambda: ResBlockDown(5, wraps=True, first=True), 0.5, ())}


@pytest.mark.parametrize("make, factor, more", LAYERS.values(), ids=LAYERS)
def test_a_galaxy_that_is_turned_gives_turned_features(make, factor, more):
    layer, x = make(), normal(2, 4, 8, 3)
    before = layer(x, *more).numpy()
    assert before.shape == (2, 4 * factor, 8 * factor, 5) and np.std(before) > 0
    after = layer(tf.roll(x, 2, axis=2), *more).numpy()
    np.testing.assert_allclose(after, np.roll(before, int(2 * factor), axis=2), atol=1e-6)
    # Rows are radii: the innermost is not next to the outermost.
    other = layer(tf.roll(x, 2, axis=1), *more).numpy()
    assert np.any(np.abs(other - np.roll(before, int(2 * factor), axis=1)) > 1e-4)
