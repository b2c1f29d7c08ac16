"""The flow of maps and the prior made of two flows: densities are densities, places are places."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows import make_flow
from galsim_deep_training.networks.flows.maps import MapFlow
from galsim_deep_training.networks.latent_prior import LatentPrior

SHAPES = [(2, 2, 2), (4, 4, 1), (8, 8, 0)]
CONTEXT = 3


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def fresh():
    keras.utils.set_random_seed(0)
    flow = MapFlow(SHAPES, layers=3, hidden=6, shared=4, seed=1)
    flow.build((None, CONTEXT))
    return flow


@pytest.fixture(scope="module")
def flow(awaken):
    flow = fresh()
    awaken(flow, size=0.3)
    return flow


def test_starts_as_the_identity():
    """Which also says that the way onto the grid and the way back are inverse to each other."""
    flow, numbers = fresh(), normal(4, 24)
    permuted = flow.transform(numbers, normal(4, CONTEXT)).numpy()
    # Channels of a cell may change places, cells may not.
    np.testing.assert_allclose(np.sort(permuted), np.sort(numbers), atol=1e-6)
    np.testing.assert_allclose(
        flow(normal(4, CONTEXT)).log_prob(numbers),
        -0.5 * np.sum(numbers**2 + np.log(2 * np.pi), axis=1), rtol=1e-5)


def test_both_directions_agree(flow):
    numbers, context = normal(5, 24), normal(5, CONTEXT, seed=1)
    latent = flow.transform(numbers, context)
    assert np.abs(latent - numbers).max() > 0.1
    np.testing.assert_allclose(flow.bijector(context).inverse(latent + 0.0), numbers, atol=1e-4)


def test_the_density_is_that_of_the_jacobian(flow):
    numbers, context = normal(1, 24), normal(1, CONTEXT, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(numbers)
        latent = flow.transform(numbers, context)
    jacobian = tape.jacobian(latent, numbers)[0, :, 0].numpy()
    expected = (-0.5 * np.sum(numbers**2 + np.log(2 * np.pi))
                - np.linalg.slogdet(jacobian)[1])
    np.testing.assert_allclose(flow(context).log_prob(latent)[0], expected, rtol=1e-4)


@pytest.mark.parametrize("place", [(0, 0), (1, 0), (1, 1)])
def test_numbers_keep_their_place(place):
    """What belongs to one corner of the map of 4 x 4 and of that of 2 x 2 is one cell."""
    flow = fresh()
    row, column = place
    coarse = np.zeros((2, 2, 2))
    coarse[row, column] = 1
    fine = np.zeros((4, 4, 1))
    fine[2 * row:2 * row + 2, 2 * column:2 * column + 2] = 1
    whole = np.concatenate([coarse.ravel(), fine.ravel()])
    on_grid = whole[flow.order].reshape(2, 2, 6)
    assert np.all(on_grid[row, column] == 1) and on_grid.sum() == 6


def test_the_context_counts(flow):
    numbers, context = normal(2, 24), normal(2, CONTEXT)
    other = flow.transform(numbers, context + [[0.0], [1.0]]) - flow.transform(numbers, context)
    assert np.abs(other[1]).max() > 1e-3 and np.abs(other[0]).max() < 1e-6


def test_maps_that_do_not_fit():
    with pytest.raises(ValueError, match="5 x 5 do not fit on a grid of 2 x 2"):
        MapFlow([(2, 2, 1), (5, 5, 1)])
    with pytest.raises(ValueError, match="two channels"):
        MapFlow([(2, 2, 1)])


@pytest.fixture(scope="module")
def prior(awaken):
    keras.utils.set_random_seed(0)
    prior = LatentPrior(make_flow("coupling", 4, 0, layers=2, hidden=6),
                        MapFlow(SHAPES, layers=2, hidden=6, shared=4))
    prior(normal(1, 28), normal(1, CONTEXT))
    awaken(prior, size=0.3)
    return prior


def test_the_prior_is_vector_then_details(prior):
    numbers, context = normal(3, 28), normal(3, CONTEXT, seed=1)
    latent = prior(numbers, context)
    vector, details = prior.flows
    np.testing.assert_allclose(latent[:, :4], vector.transform(numbers[:, :4], context), atol=1e-6)
    seen = tf.concat([context, latent[:, :4]], axis=1)
    np.testing.assert_allclose(latent[:, 4:], details.transform(numbers[:, 4:], seen), atol=1e-6)
    expected = (vector(context).log_prob(latent[:, :4] + 0.0)
                + details(seen).log_prob(latent[:, 4:] + 0.0))
    np.testing.assert_allclose(prior.log_prob(latent, context), expected, rtol=1e-5)


def test_details_know_of_the_vector(prior):
    numbers, context = normal(1, 28), normal(1, CONTEXT)
    change = np.pad(np.ones((1, 4), np.float32), [(0, 0), (0, 24)])
    moved = prior(numbers + change, context) - prior(numbers, context)
    assert np.abs(moved[:, 4:]).max() > 1e-3


def test_a_prior_without_details():
    prior = LatentPrior(make_flow("coupling", 4, 0, layers=2, hidden=6))
    assert prior.sizes == [4] and prior(normal(2, 4), normal(2, CONTEXT)).shape == (2, 4)
