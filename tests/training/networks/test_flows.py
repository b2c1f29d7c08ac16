"""Flows: that both directions agree, and that densities are densities."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows import CouplingFlow

CONTEXT = 3


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def fresh(size, layers=4, seed=5):
    keras.utils.set_random_seed(0)
    flow = CouplingFlow(size, layers=layers, hidden=8, seed=seed)
    flow(tf.zeros((1, CONTEXT)))
    return flow


@pytest.fixture(scope="module", params=[2, 3, 6])
def flow(request, awaken):
    """A flow that is far from the identity."""
    flow = fresh(request.param)
    awaken(flow, size=0.3)
    return flow


def test_starts_as_the_identity():
    """Up to the order of the numbers: samples are standard normal."""
    flow, u, context = fresh(6), normal(20, 6), normal(20, CONTEXT, seed=1)
    z = flow.transform(u, context).numpy()
    np.testing.assert_allclose(np.sort(z), np.sort(u), atol=1e-6)
    expected = -0.5 * np.sum(z**2, axis=1) - 3 * np.log(2 * np.pi)
    np.testing.assert_allclose(flow(context).log_prob(z), expected, rtol=1e-5)


def test_shapes(flow):
    context = normal(7, CONTEXT)
    distribution = flow(context)
    assert distribution.batch_shape == (7,) and distribution.event_shape == (flow.latent_size,)
    z = flow.transform(normal(7, flow.latent_size), context)
    assert z.shape == (7, flow.latent_size)
    assert distribution.log_prob(z).shape == (7,)
    assert flow.trainable_variables and all(
        variable.dtype == "float32" for variable in flow.trainable_variables)


def test_it_is_not_the_identity_any_more(flow):
    u = normal(50, flow.latent_size)
    z = flow.transform(u, normal(50, CONTEXT, seed=1))
    assert np.abs(np.sort(z) - np.sort(u)).max() > 0.1


def test_inverse(flow):
    u, context = normal(50, flow.latent_size), normal(50, CONTEXT, seed=1)
    bijector = flow(context).bijector
    z = flow.transform(u, context)
    # A new tensor, or the bijector would answer from its cache.
    np.testing.assert_allclose(bijector.inverse(tf.constant(z.numpy())), u, atol=2e-4)
    np.testing.assert_allclose(
        bijector.forward(tf.constant(bijector.inverse(tf.constant(u.numpy())).numpy())), u,
        atol=2e-4)


def test_density_is_the_change_of_variables(flow):
    u, context = normal(10, flow.latent_size), normal(10, CONTEXT, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(u)
        z = flow.transform(u, context)
    jacobian = tape.batch_jacobian(z, u).numpy().astype(float)
    base = -0.5 * np.sum(u.numpy()**2, axis=1) - 0.5 * flow.latent_size * np.log(2 * np.pi)
    expected = base - np.linalg.slogdet(jacobian)[1]
    found = flow(context).log_prob(tf.constant(z.numpy()))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.ptp(expected - base) > 0.1


def test_density_sums_to_one(awaken):
    """In two dimensions, by brute force."""
    flow = fresh(2)
    awaken(flow, size=0.3)
    axis = np.linspace(-12, 12, 241, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    context = tf.repeat(normal(1, CONTEXT), len(grid), axis=0)
    density = np.exp(flow(context).log_prob(grid).numpy().astype(float))
    assert density.sum() * 0.1**2 == pytest.approx(1.0, rel=0.01)


def test_the_context_counts(flow):
    u = tf.repeat(normal(1, flow.latent_size), 20, axis=0)
    context = normal(20, CONTEXT)
    z = flow.transform(u, context).numpy()
    assert np.all(np.std(z, axis=0) > 0.0)
    at_zero = flow(context).log_prob(tf.zeros_like(u))
    assert np.std(at_zero) > 1e-3


def test_rows_are_independent(flow):
    u, context = normal(5, flow.latent_size), normal(5, CONTEXT, seed=1)
    together = flow.transform(u, context).numpy()
    for row in range(5):
        alone = flow.transform(u[row:row + 1], context[row:row + 1]).numpy()
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_the_seed_draws_the_permutations():
    orders = [np.concatenate(fresh(6, seed=seed).permutations) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    for permutation in fresh(6).permutations:
        assert sorted(permutation) == list(range(6))


def test_every_number_is_transformed(awaken):
    """A few couplings with permutations reach all of the latent."""
    flow = fresh(6, layers=6)
    awaken(flow, size=0.3)
    u, context = normal(200, 6), normal(200, CONTEXT, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(u)
        z = flow.transform(u, context)
    jacobian = np.abs(tape.batch_jacobian(z, u)).max(axis=0)
    assert np.all((jacobian > 1e-3).sum(axis=1) >= 4)


def test_gradient():
    flow = fresh(4)
    context, z = normal(8, CONTEXT), normal(8, 4, seed=2)
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(flow(context).log_prob(z))
    gradients = tape.gradient(loss, flow.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    # At the start only the layers that end in zero get any.
    assert any(np.abs(gradient).max() > 0 for gradient in gradients)
