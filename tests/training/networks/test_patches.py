"""Fine cells painted by coarse ones."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.patches import Patches

FINENESS = [1, 2, 8]


@pytest.fixture(params=FINENESS)
def patches(request):
    """Patches of five channels, with weights at random."""
    made = Patches(request.param)
    made.build((None, 6, 6, 5))
    made.weight.assign(np.random.default_rng(1).normal(size=made.weight.shape))
    made.bias.assign([0.3])
    return made


def one_cell(row, column, channel=0):
    features = np.zeros((1, 6, 6, 5), np.float32)
    features[0, row, column, channel] = 1
    return features


def test_starts_from_zero():
    made = Patches(2)
    assert np.all(made(tf.ones([2, 6, 6, 5])) == np.zeros((2, 12, 12)))


def test_equal_features_give_equal_numbers(patches):
    features = np.broadcast_to(np.random.default_rng(2).normal(size=5), (1, 6, 6, 5))
    side = patches.fineness
    inner = patches(features.astype(np.float32)).numpy()[0, side:-side, side:-side]
    assert np.ptp(inner) < 1e-4 and abs(inner.mean()) > 0.01


def test_a_patch_reaches_its_neighbours_and_moves_with_its_cell(patches):
    side = patches.fineness
    first, second = (patches(one_cell(*place)).numpy()[0] - 0.3 for place in ((2, 2), (3, 4)))
    assert np.abs(first).max() > 0.1
    np.testing.assert_allclose(first, np.roll(second, (-side, -2 * side), (0, 1)), atol=1e-5)
    lit = np.flatnonzero(np.abs(first).max(axis=1) > 0)
    assert lit.min() >= side and lit.max() < 4 * side


def test_a_patch_fades_out():
    made = Patches(8)
    made.build((None, 6, 6, 1))
    made.weight.assign(np.random.default_rng(3).normal(size=made.weight.shape))
    patch = np.abs(made(one_cell(2, 2)[..., :1]).numpy()[0])
    edge = np.concatenate([patch[8], patch[31], patch[:, 8], patch[:, 31]])
    assert edge.max() < 0.03 * patch.max()


def test_fine_detail_is_learned_more_slowly():
    made = Patches(8)
    rows = np.cos(np.pi * (np.arange(24) + 0.5) / 24), (-1.0) ** np.arange(24)
    slow, fast = (np.linalg.norm(made.shaping @ row) / np.linalg.norm(row) for row in rows)
    assert slow > 2 * fast > 0


def test_without_padding_the_outermost_features_are_seen_only(patches):
    bare = Patches(patches.fineness, "valid")
    bare.build((None, 6, 6, 5))
    bare.weight.assign(patches.weight)
    bare.bias.assign(patches.bias)
    features = np.random.default_rng(4).normal(size=(2, 6, 6, 5)).astype(np.float32)
    side = patches.fineness
    np.testing.assert_allclose(
        bare(features), patches(features)[:, side:-side, side:-side], atol=1e-5)


def test_gradients_reach_the_weights(patches):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(patches(np.ones((1, 6, 6, 5), np.float32))))
    assert all(np.abs(g).max() > 0 for g in tape.gradient(loss, patches.trainable_variables))
