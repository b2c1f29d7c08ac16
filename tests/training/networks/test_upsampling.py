"""Upsampling: patches move with their cell, fade to zero and leave no lattice."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.upsampling import (
    BSplineUpsampling,
    depth_to_space,
    upsample_to_grids,
)


@pytest.fixture(params=[1, 2, 8])
def layer(request):
    """A layer for five channels with random weights."""
    layer = BSplineUpsampling(request.param)
    layer.build((None, 6, 6, 5))
    layer.weight.assign(np.random.default_rng(1).normal(size=layer.weight.shape))
    layer.bias.assign([0.3])
    return layer


def one_cell(row, column, channels=5):
    features = np.zeros((1, 6, 6, channels), np.float32)
    features[0, row, column, 0] = 1
    return features


def test_starts_with_zeros():
    np.testing.assert_array_equal(
        BSplineUpsampling(2)(tf.ones([2, 6, 6, 5])), np.zeros((2, 12, 12)))


def test_equal_features_give_equal_pixels(layer):
    features = np.broadcast_to(np.random.default_rng(2).normal(size=5), (1, 6, 6, 5))
    side = layer.subcells
    inner = layer(features.astype(np.float32)).numpy()[0, side:-side, side:-side]
    assert np.ptp(inner) < 1e-4 and abs(inner.mean()) > 0.01


def test_patch_is_three_cells_wide_and_moves_with_its_cell(layer):
    side = layer.subcells
    first, second = (layer(one_cell(*cell)).numpy()[0] - 0.3 for cell in ((2, 2), (3, 4)))
    assert np.abs(first).max() > 0.1
    np.testing.assert_allclose(first, np.roll(second, (-side, -2 * side), (0, 1)), atol=1e-5)
    rows = np.flatnonzero(np.abs(first).max(axis=1) > 0)
    assert rows.min() >= side and rows.max() < 4 * side


def test_patch_fades_to_zero():
    layer = BSplineUpsampling(8)
    layer.build((None, 6, 6, 1))
    layer.weight.assign(np.random.default_rng(3).normal(size=layer.weight.shape))
    patch = np.abs(layer(one_cell(2, 2, channels=1)).numpy()[0])
    edge = np.concatenate([patch[8], patch[31], patch[:, 8], patch[:, 31]])
    assert edge.max() < 0.03 * patch.max()


def test_fine_detail_is_learned_more_slowly():
    layer = BSplineUpsampling(8)
    rows = np.cos(np.pi * (np.arange(24) + 0.5) / 24), (-1.0) ** np.arange(24)
    coarse, fine = (np.linalg.norm(layer.windowed_filter @ row) / np.linalg.norm(row)
                    for row in rows)
    assert coarse > 2 * fine > 0


def test_valid_padding_is_the_inner_part(layer):
    valid = BSplineUpsampling(layer.subcells, "valid")
    valid.build((None, 6, 6, 5))
    valid.weight.assign(layer.weight)
    valid.bias.assign(layer.bias)
    features = np.random.default_rng(4).normal(size=(2, 6, 6, 5)).astype(np.float32)
    side = layer.subcells
    np.testing.assert_allclose(
        valid(features), layer(features)[:, side:-side, side:-side], atol=1e-5)


def test_inner_grid_is_the_inner_part_of_the_outer_one():
    features = np.random.default_rng(5).normal(size=(2, 6, 6, 5)).astype(np.float32)
    layers = [BSplineUpsampling(3, "same"), BSplineUpsampling(3, "valid")]
    for layer in layers:
        layer.build((None, 6, 6, 5))
        layer.weight.assign(np.random.default_rng(6).normal(size=layer.weight.shape))
    outer, inner = upsample_to_grids(features, layers, [(6, 3), (2, 3)])
    assert outer.shape == (2, 18, 18) and inner.shape == (2, 6, 6)
    np.testing.assert_allclose(inner, outer[:, 6:12, 6:12], atol=1e-5)


def test_gradients_reach_the_weights(layer):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(np.ones((1, 6, 6, 5), np.float32))))
    gradients = tape.gradient(loss, layer.trainable_variables)
    assert len(gradients) == 2 and all(np.abs(g).max() > 0 for g in gradients)


@pytest.mark.parametrize("factor", [2, 3])
def test_depth_to_space_is_that_of_tensorflow(factor):
    x = np.random.default_rng(7).normal(size=(2, 4, 5, 2 * factor**2)).astype(np.float32)
    np.testing.assert_array_equal(depth_to_space(x, factor), tf.nn.depth_to_space(x, factor))
