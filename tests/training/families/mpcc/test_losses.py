"""Losses of MPCC: known values, densities of SciPy, and the directions of their gradients."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from galsim_deep_training.families.mpcc.losses import (
    class_negative_log_likelihood,
    discriminator_loss,
    generator_loss,
    latent_negative_log_likelihood,
    prior_regulariser,
    unevenness,
)


@pytest.mark.parametrize("real, generated, loss", [
    ([0.5], [-2.0], 0.5), ([-1.0], [1.0], 4.0),
    # Scores beyond the margin do not contribute.
    ([1.5, 3.0], [-1.0, -9.0], 0.0)])
def test_hinge_loss_of_the_discriminator(real, generated, loss):
    assert float(discriminator_loss(tf.constant(real), tf.constant(generated))) == pytest.approx(
        loss)


def test_loss_of_the_generator():
    assert float(generator_loss(tf.constant([0.5, -1.5]))) == pytest.approx(0.5)


def test_discriminator_and_generator_have_opposite_gradients():
    scores = tf.Variable([0.3])
    with tf.GradientTape(persistent=True) as tape:
        losses = discriminator_loss(tf.constant([0.0]), scores), generator_loss(scores)
    assert [float(tape.gradient(loss, scores)[0]) for loss in losses] == [1.0, -1.0]


def test_latent_negative_log_likelihood_is_that_of_scipy():
    rng = np.random.default_rng(2)
    latent, mean = rng.standard_normal((2, 5, 3)).astype(np.float32)
    scale = rng.uniform(0.2, 2, (5, 3)).astype(np.float32)
    expected = -stats.norm.logpdf(latent, mean, scale).sum(axis=1)
    np.testing.assert_allclose(
        latent_negative_log_likelihood(latent, mean, scale), expected, rtol=1e-5)


def test_class_negative_log_likelihood():
    log_probability = np.log([[0.2689, 0.7311]]).astype(np.float32)
    value = class_negative_log_likelihood(tf.constant([[0.0, 1.0]]), log_probability)
    assert float(value[0]) == pytest.approx(0.3133, abs=1e-4)


def test_regulariser():
    weights, deviation = tf.constant([[0.5, 0.5]]), tf.ones([1, 2, 2])
    assert float(prior_regulariser(weights, deviation, per_dimension=False)) == pytest.approx(
        -3.5310, abs=1e-4)
    assert float(prior_regulariser(weights, deviation)) == pytest.approx(
        -0.6931 - 2.8379 / 2, abs=1e-4)


def test_gradient_of_the_regulariser_widens_classes():
    deviation = tf.Variable(tf.ones([1, 3, 4]))
    with tf.GradientTape() as tape:
        loss = prior_regulariser(tf.fill([1, 3], 1 / 3), deviation)
    assert (tape.gradient(loss, deviation).numpy() < 0).all()


def test_unevenness_of_known_values():
    assert float(unevenness(tf.constant([1.0, 3.0]))) == pytest.approx(np.log(5 / 4))
    assert float(unevenness(tf.fill([7], 0.3))) == pytest.approx(0.0, abs=1e-6)


def test_unevenness_does_not_depend_on_the_unit():
    changes = np.random.default_rng(1).exponential(size=50).astype(np.float32)
    assert float(unevenness(1e-3 * changes)) == pytest.approx(float(unevenness(changes)), abs=1e-5)


def test_unevenness_grows_with_the_steepness_of_a_jump():
    x = np.linspace(-2, 2, 400, dtype=np.float32)
    values = [float(unevenness(tf.square(np.tanh(steep * (x + 0.1)) - np.tanh(steep * x)) + 1e-6))
              for steep in (0.1, 1.0, 5.0, 50.0)]
    assert values == sorted(values) and values[0] < 0.01 and values[-1] > 2
