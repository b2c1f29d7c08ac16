"""The prior of a Flow-VAE: a flow of the vector, and a flow of the details given the vector."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.flow_vae.networks.latent_prior import FlowPrior
from galsim_deep_training.networks.flows.affine_coupling import AffineCouplingFlow
from galsim_deep_training.networks.flows.map_coupling import MapCouplingFlow

VECTOR, DETAILS, CONDITIONS = 4, 24, 3


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def make_vector_flow():
    return AffineCouplingFlow(AffineCouplingFlow.Settings(layers=2, hidden=6), VECTOR)


@pytest.fixture(scope="module")
def prior(awaken):
    keras.utils.set_random_seed(0)
    prior = FlowPrior(make_vector_flow(), MapCouplingFlow(
        MapCouplingFlow.Settings(layers=2, hidden=6, shared=4), [(2, 2, 2), (4, 4, 1)]))
    prior(normal(1, VECTOR + DETAILS), normal(1, CONDITIONS))
    awaken(prior, size=0.3)
    return prior


def test_latents_are_vector_and_details(prior):
    assert prior.sizes == [VECTOR, DETAILS]
    u, conditions = normal(3, VECTOR + DETAILS), normal(3, CONDITIONS, seed=1)
    latent = prior(u, conditions)
    vector, details = prior.flows
    np.testing.assert_allclose(
        latent[:, :VECTOR], vector.transform(u[:, :VECTOR], conditions), atol=1e-6)
    with_vector = tf.concat([conditions, latent[:, :VECTOR]], axis=1)
    np.testing.assert_allclose(
        latent[:, VECTOR:], details.transform(u[:, VECTOR:], with_vector), atol=1e-6)
    expected = (vector(conditions).log_prob(latent[:, :VECTOR] + 0.0)
                + details(with_vector).log_prob(latent[:, VECTOR:] + 0.0))
    np.testing.assert_allclose(prior.log_prob(latent, conditions), expected, rtol=1e-5)


def test_details_depend_on_the_vector(prior):
    u, conditions = normal(1, VECTOR + DETAILS), normal(1, CONDITIONS)
    change = np.pad(np.ones((1, VECTOR), np.float32), [(0, 0), (0, DETAILS)])
    moved = prior(u + change, conditions) - prior(u, conditions)
    assert np.abs(moved[:, VECTOR:]).max() > 1e-3


def test_blur_changes_the_condition_of_the_details_only(prior):
    latent, conditions = normal(3, VECTOR + DETAILS), normal(3, CONDITIONS)
    blur = normal(3, VECTOR, seed=2)
    vector, details = prior.flows
    expected = vector(conditions).log_prob(latent[:, :VECTOR]) + details(
        tf.concat([conditions, latent[:, :VECTOR] + blur], axis=1)).log_prob(latent[:, VECTOR:])
    np.testing.assert_allclose(prior.log_prob(latent, conditions, blur), expected, rtol=1e-5)


def test_prior_without_details():
    prior = FlowPrior(make_vector_flow())
    assert prior.sizes == [VECTOR]
    assert prior(normal(2, VECTOR), normal(2, CONDITIONS)).shape == (2, VECTOR)
    assert prior.log_prob(normal(2, VECTOR), normal(2, CONDITIONS)).shape == (2,)
