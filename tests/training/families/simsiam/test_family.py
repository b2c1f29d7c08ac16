"""SimSiam: its loss and where its gradient stops."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families import make_family


@pytest.fixture
def phase(make_recipe):
    return make_family(make_recipe(family="simsiam")).phases[0]


@pytest.fixture
def views():
    return [tf.random.stateless_uniform([3, 32, 32, 1], [number, 1]) for number in range(2)]


def negative_cosine(p, z):
    p, z = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (np.asarray(p), np.asarray(z)))
    return -np.sum(p * z, axis=1)


def test_the_loss_against_its_formula(phase, views):
    """Andrianomena 2023, eqs. 3.7 and 3.8."""
    z = [phase.family.projector(phase.family.encoder(view)) for view in views]
    p = [phase.predictor(each) for each in z]
    expected = 0.5 * np.mean(negative_cosine(p[0], z[1]) + negative_cosine(p[1], z[0]))
    np.testing.assert_allclose(phase.compare(*views, training=False), expected, rtol=1e-4)


def test_the_gradient_stops(phase, views):
    """The gradient is that of the loss with the other projections as constants."""
    encoder, projector = phase.family.encoder, phase.family.projector
    weights = [weight.value for weight in encoder.trainable_variables]
    constants = [projector(encoder(view)).numpy() for view in views]

    def with_constants():
        loss = 0.0
        for view, z in zip(views, constants[::-1], strict=True):
            p = phase.predictor(projector(encoder(view)))
            loss -= 0.5 * tf.reduce_mean(tf.reduce_sum(
                tf.math.l2_normalize(p, -1) * tf.math.l2_normalize(z, -1), -1))
        return loss

    @tf.function
    def gradients():
        with tf.GradientTape(persistent=True) as tape:
            loss, other = phase.compare(*views, training=False), with_constants()
        return tape.gradient(loss, weights), tape.gradient(other, weights)

    for one, other in zip(*gradients(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)
