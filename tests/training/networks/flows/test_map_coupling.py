"""The flow of maps: densities are densities, and numbers keep their place in the galaxy."""

import galsim
import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows.map_coupling import MapCouplingFlow

SHAPES = [(2, 2, 2), (4, 4, 1), (8, 8, 0)]
SIZE = 24
CONDITIONS = 3


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def make():
    keras.utils.set_random_seed(0)
    flow = MapCouplingFlow(
        MapCouplingFlow.Settings(layers=3, hidden=6, shared=4), SHAPES, seed=1)
    flow.build((None, CONDITIONS))
    return flow


@pytest.fixture(scope="module")
def flow(awaken):
    flow = make()
    awaken(flow, size=0.3)
    return flow


def test_starts_as_the_identity():
    """Up to a permutation of the channels within the cells of the grid."""
    flow, u, conditions = make(), normal(4, SIZE), normal(4, CONDITIONS)
    z = flow.transform(u, conditions).numpy()
    np.testing.assert_allclose(np.sort(z), np.sort(u), atol=1e-6)
    np.testing.assert_allclose(
        flow(conditions).log_prob(z), -0.5 * np.sum(u**2 + np.log(2 * np.pi), axis=1), rtol=1e-5)


def test_inverse(flow):
    u, conditions = normal(5, SIZE), normal(5, CONDITIONS, seed=1)
    z = flow.transform(u, conditions)
    assert np.abs(z - u).max() > 0.1
    np.testing.assert_allclose(flow.bijector(conditions).inverse(z + 0.0), u, atol=1e-4)


def test_density_is_the_change_of_variables(flow):
    u, conditions = normal(1, SIZE), normal(1, CONDITIONS, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(u)
        z = flow.transform(u, conditions)
    jacobian = tape.jacobian(z, u)[0, :, 0].numpy()
    expected = -0.5 * np.sum(u**2 + np.log(2 * np.pi)) - np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(flow(conditions).log_prob(z)[0], expected, rtol=1e-4)


@pytest.mark.parametrize("row, column", [(0, 0), (1, 0), (1, 1)])
def test_a_cell_has_the_numbers_of_its_place_in_every_map(row, column):
    coarse, fine = np.zeros((2, 2, 2)), np.zeros((4, 4, 1))
    coarse[row, column] = 1
    fine[2 * row:2 * row + 2, 2 * column:2 * column + 2] = 1
    maps = np.concatenate([coarse.ravel(), fine.ravel()])
    on_grid = maps[make().order].reshape(2, 2, 6)
    assert np.all(on_grid[row, column] == 1) and on_grid.sum() == 6


def test_conditions_affect_their_own_galaxy_only(flow):
    u, conditions = normal(2, SIZE), normal(2, CONDITIONS)
    change = (flow.transform(u, conditions + [[0.0], [1.0]]) - flow.transform(u, conditions))
    assert np.abs(change[1]).max() > 1e-3 and np.abs(change[0]).max() < 1e-6


def test_gradients_reach_all_weights(flow):
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(flow(normal(4, CONDITIONS)).log_prob(normal(4, SIZE, seed=1)))
    for gradient in tape.gradient(loss, [v.value for v in flow.trainable_variables]):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_maps_have_to_fit_on_the_grid():
    with pytest.raises(ValueError):
        MapCouplingFlow(MapCouplingFlow.Settings(), [(2, 2, 1), (5, 5, 1)])


def test_one_channel_is_not_enough():
    with pytest.raises(galsim.GalSimConfigError):
        MapCouplingFlow(MapCouplingFlow.Settings(), [(2, 2, 1)])
