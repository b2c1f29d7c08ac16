"""The ladder: what each of its latents does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.ladder import Ladder

MAPS = (2, 1, 0)
FEATURES = [(2, 2, 8), (4, 4, 6), (8, 8, 4)]
GRIDS = [(8, 3), (4, 5)]
CELLS = [24, 20]


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


@pytest.fixture
def ladder(awaken):
    keras.utils.set_random_seed(0)
    ladder = Ladder(2, channels=(8, 6, 4), maps=MAPS, hidden=16, start=4, grids=GRIDS)
    ladder.infer(normal(1, 5), normal(1, 2), features(1), noise(ladder, 1))
    awaken(ladder)
    return ladder


def features(count, seed=3):
    return [normal(count, *shape, seed=seed + i) for i, shape in enumerate(FEATURES)]


def noise(ladder, count, seed=7):
    return [normal(count, *shape, seed=seed + i) for i, shape in enumerate(ladder.map_shapes)]


def test_shapes(ladder):
    assert ladder.map_shapes == [(2, 2, 2), (4, 4, 1), (8, 8, 0)]
    drawn = ladder(normal(3, 5), normal(3, 2), noise(ladder, 3))
    assert [numbers.shape for numbers in drawn] == [(3, cells, cells) for cells in CELLS]
    numbers, found = ladder.infer(normal(3, 5), normal(3, 2), features(3), noise(ladder, 3))
    assert [one.shape for one in numbers] == [(3, cells, cells) for cells in CELLS]
    for (mean, scale), shape in zip(found, ladder.map_shapes, strict=True):
        assert mean.shape == scale.shape == (3, *shape)
        assert np.all(scale > 0)


def test_a_fresh_ladder_says_zero():
    ladder = Ladder(2, channels=(8, 6, 4), maps=MAPS, hidden=16, start=4, grids=GRIDS)
    numbers = ladder(normal(2, 5), normal(2, 2), noise(ladder, 2))
    for one, cells in zip(numbers, CELLS, strict=True):
        np.testing.assert_array_equal(one, np.zeros((2, cells, cells)))


def test_grids_are_about_the_middle():
    with pytest.raises(ValueError, match="The middle 5 of 8 cells"):
        Ladder(2, channels=(8, 6, 4), maps=MAPS, grids=[(8, 3), (5, 3)])


def test_decoding_what_was_inferred_gives_the_same(ladder):
    """Maps that are handed over act as maps that were found on the way."""
    vector, context, normals = normal(3, 5), normal(3, 2), noise(ladder, 3)
    numbers, found = ladder.infer(vector, context, features(3), normals)
    maps = [mean + scale * one for (mean, scale), one in zip(found, normals, strict=True)]
    for one, other in zip(ladder(vector, context, maps), numbers, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_fine_grid_is_the_middle_of_the_network(ladder):
    """With patches of the same shape, the two say the same in the middle of each cell."""
    for leave in ladder.exits:
        weight = np.zeros(leave.weight.shape, np.float32)
        weight[..., :2] = 1.0
        leave.weight.assign(weight)
        leave.bias.assign([0.0])
    wide, close = ladder(normal(2, 5), normal(2, 2), noise(ladder, 2))
    np.testing.assert_allclose(wide[:, 7:18:3, 7:18:3], close[:, 2::5, 2::5], atol=1e-5)
    assert np.ptp(close) > 1e-3


@pytest.mark.parametrize("level", [0, 1])
def test_every_map_counts_where_it_is(ladder, level):
    vector, context, maps = normal(1, 5), normal(1, 2), noise(ladder, 1)
    before = ladder(vector, context, maps)[0].numpy()[0]
    height, width, count = ladder.map_shapes[level]
    push = np.zeros((1, height, width, count), np.float32)
    push[0, 0, 0] = 3.0
    maps[level] = maps[level] + push
    change = np.abs(ladder(vector, context, maps)[0].numpy()[0] - before)
    assert change.max() > 1e-4
    # A latent of the corner acts on its neighbourhood most.
    assert np.unravel_index(change.argmax(), change.shape)[0] < 18


@pytest.mark.parametrize("name", ["vector", "context"])
def test_vector_and_context_count(ladder, name):
    inputs = dict(vector=normal(2, 5), context=normal(2, 2))
    maps = noise(ladder, 2)
    both = [ladder(**inputs, maps=maps)]
    inputs[name] = inputs[name] + tf.constant([[0.0], [1.0]])
    both.append(ladder(**inputs, maps=maps))
    for before, after in zip(*both, strict=True):
        assert np.abs(after[1] - before[1]).max() > 1e-4
        np.testing.assert_allclose(after[0], before[0], atol=1e-6)


def test_features_decide_what_is_inferred(ladder):
    args = normal(2, 5), normal(2, 2)
    one = ladder.infer(*args, features(2), noise(ladder, 2))[1]
    other = ladder.infer(*args, features(2, seed=30), noise(ladder, 2))[1]
    for level in range(2):
        assert np.abs(one[level][0] - other[level][0]).max() > 1e-3
