"""BYOL: its loss, and the target network that follows."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family
from galsim_deep_training.fitting.graphs import as_graph


@pytest.fixture
def phase(make_recipe):
    def change(content):
        content["fit"]["views"].update(decay=0.9, warm_up=0, schedule="constant")
    return make_family(make_recipe(change, family="byol")).phases[0]


def test_the_target_begins_as_the_online_network(phase):
    for name, target in phase.target.items():
        for mine, online in zip(target.weights, phase.networks[name].weights, strict=True):
            np.testing.assert_array_equal(mine, online)


def test_the_target_follows(phase, data_file):
    """Andrianomena 2023, eq. 3.5."""
    before = [weight.numpy() for weight in phase.target["encoder"].trainable_variables]
    batch = next(phase.batches(Dataset(data_file), 0))
    as_graph(phase.step)(batch, tf.constant(0))
    moved = 0.0
    for old, target, online in zip(before, phase.target["encoder"].trainable_variables,
                                   phase.networks["encoder"].trainable_variables, strict=True):
        np.testing.assert_allclose(
            target, 0.9 * old + 0.1 * online.numpy(), rtol=1e-4, atol=1e-6)
        moved += np.abs(online.numpy() - old).max()
    assert moved > 0


def test_the_loss_against_its_formula(phase):
    """Eq. 3.6 for vectors of unit length, each view predicting the other."""
    rng = np.random.default_rng(1)
    views = [tf.constant(rng.random((3, 32, 32, 1)), tf.float32) for _ in range(2)]
    for weight in phase.target["projector"].trainable_variables:
        weight.assign_add(0.1 * rng.standard_normal(weight.shape))

    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    encoder, projector = phase.family.encoder, phase.family.projector
    predicted = [unit(phase.predictor(projector(encoder(view)))) for view in views]
    target = [unit(phase.target["projector"](phase.target["encoder"](view))) for view in views]
    expected = np.mean([np.sum((predicted[0] - target[1])**2, axis=1),
                        np.sum((predicted[1] - target[0])**2, axis=1)])
    np.testing.assert_allclose(phase.compare(*views, training=False), expected, rtol=1e-4)


def test_the_target_has_no_gradient(phase):
    views = [tf.random.stateless_uniform([3, 32, 32, 1], [number, 1]) for number in range(2)]
    weights = [weight.value for network in phase.target.values()
               for weight in network.trainable_variables]
    none = []

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = phase.compare(*views, training=True)
        none.extend(gradient is None for gradient in tape.gradient(loss, weights))
        return loss

    gradients()
    assert none and all(none)
