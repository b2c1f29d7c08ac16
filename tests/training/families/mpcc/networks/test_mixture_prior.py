"""The mixture prior: densities, class probabilities and draws, against SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from galsim_deep_training.families.mpcc.losses import class_negative_log_likelihood
from galsim_deep_training.families.mpcc.networks.mixture_prior import (
    FLOOR,
    MixturePrior,
    class_of,
    uniform_of,
)

NO_CONDITIONS = tf.zeros([1, 0])


def mixture(means, deviations, **settings):
    means = np.asarray(means, np.float32)
    prior = MixturePrior(*means.shape, floor=0.0, **settings)
    prior.means.assign(means)
    prior.log_deviations.assign(np.log(np.broadcast_to(deviations, means.shape)).astype(np.float32))
    return prior


def test_class_probability_of_a_known_value():
    prior = mixture([[-1.0], [1.0]], 1.0)
    log_probability = prior.log_class_probability(
        tf.constant([[0.5]]), tf.zeros([1, 2]), NO_CONDITIONS)
    assert float(tf.exp(log_probability)[0, 1]) == pytest.approx(0.7311, abs=1e-4)
    negative_log_likelihood = class_negative_log_likelihood(
        tf.constant([[0.0, 1.0]]), log_probability)
    assert float(negative_log_likelihood[0]) == pytest.approx(0.3133, abs=1e-4)


def test_frequencies_of_the_classes_enter_the_probability():
    prior = mixture([[-1.0], [1.0]], 1.0)
    probability = tf.exp(prior.log_class_probability(
        tf.zeros([1, 1]), tf.math.log([[0.8, 0.2]]), NO_CONDITIONS))
    np.testing.assert_allclose(probability, [[0.8, 0.2]], rtol=1e-5)


def test_class_probability_is_that_of_bayes():
    rng = np.random.default_rng(3)
    means, deviations = rng.standard_normal((4, 3)), rng.uniform(0.5, 2, (4, 3))
    prior, latent = mixture(means, deviations), rng.standard_normal((6, 3)).astype(np.float32)
    density = stats.norm.pdf(latent[:, None], means, deviations).prod(axis=-1)
    expected = density / density.sum(axis=1, keepdims=True)
    probability = tf.exp(prior.log_class_probability(latent, tf.zeros([1, 4]), NO_CONDITIONS))
    np.testing.assert_allclose(probability, expected, rtol=2e-4, atol=1e-7)


def test_log_densities_are_those_of_scipy():
    rng = np.random.default_rng(4)
    means, deviations = rng.standard_normal((4, 3)), rng.uniform(0.5, 2, (4, 3))
    latent = rng.standard_normal((6, 3)).astype(np.float32)
    expected = stats.norm.logpdf(latent[:, None], means, deviations).sum(axis=-1)
    log_density = mixture(means, deviations).log_densities(latent, NO_CONDITIONS)
    np.testing.assert_allclose(log_density, expected, rtol=1e-4, atol=1e-4)


def test_distant_latents_do_not_overflow():
    prior = mixture([[-1.0], [1.0]], 1.0)
    log_probability = prior.log_class_probability(
        tf.constant([[1e4]]), tf.zeros([1, 2]), NO_CONDITIONS)
    assert np.isfinite(log_probability.numpy()).all() and float(log_probability[0, 1]) == 0.0


def test_draws_have_the_moments_of_their_class():
    prior = mixture([[-1.0, 3.0], [1.0, 0.0]], [[0.5, 2.0], [1.0, 0.7]])
    normal = tf.random.stateless_normal([20000, 2], [1, 2])
    drawn = prior.draw(normal, tf.tile([[1.0, 0.0]], [20000, 1]), NO_CONDITIONS).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), [-1.0, 3.0], atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), [0.5, 2.0], rtol=0.02)


def test_deviations_are_not_below_the_floor():
    prior = MixturePrior(3, 2)
    prior.log_deviations.assign(tf.fill([3, 2], -50.0))
    assert prior.components(NO_CONDITIONS)[1].numpy().min() == pytest.approx(FLOOR)


def test_deviations_that_depend_on_columns_are_not_below_the_floor():
    prior = MixturePrior(3, 2, columns=1)
    for variable in prior.network.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(0, 30, variable.shape))
    deviation = prior.components(tf.constant([[-5.0], [5.0]]))[1].numpy()
    assert deviation.min() >= FLOOR and np.ptp(deviation) > 0.5


def test_initial_deviations_are_one():
    np.testing.assert_allclose(MixturePrior(3, 4).components(NO_CONDITIONS)[1], 1.0, rtol=1e-6)


@pytest.mark.parametrize("separation", [1.0, 8.0])
def test_initial_means_are_orthogonal(separation):
    means = MixturePrior(4, 6, separation=separation, seed=3).means.numpy()
    np.testing.assert_allclose(means @ means.T, separation**2 * np.eye(4), atol=1e-4)


def test_columns_have_no_effect_before_the_fit():
    prior, conditions = MixturePrior(3, 4, columns=2), tf.constant([[0.3, -2.0], [5.0, 1.0]])
    mean, deviation = prior.components(conditions)
    assert mean.shape == deviation.shape == (2, 3, 4)
    np.testing.assert_allclose(mean[0], prior.means.numpy())
    np.testing.assert_allclose(mean[0], mean[1])
    np.testing.assert_allclose(deviation, 1.0, rtol=1e-6)


def test_components_depend_on_columns_after_a_step():
    prior, conditions = MixturePrior(2, 3, columns=1), tf.constant([[-1.0], [1.0]])
    with tf.GradientTape() as tape:
        mean, deviation = prior.components(conditions)
        loss = tf.reduce_sum(mean[0] - mean[1]) + tf.reduce_sum(deviation[0])
    variables = prior.network.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]),
                                  strict=True):
        if gradient is not None:
            variable.assign_sub(0.5 * gradient)
    mean, deviation = prior.components(conditions)
    assert float(tf.reduce_max(tf.abs(mean[0] - mean[1]))) > 0.01


def test_a_single_class_is_standard_normal_and_not_trained():
    prior = MixturePrior(1, 5, columns=2)
    mean, deviation = prior.components(tf.ones([4, 2]))
    np.testing.assert_allclose(mean, 0.0)
    np.testing.assert_allclose(deviation, 1.0, rtol=1e-6)
    assert not prior.trainable_variables


@pytest.mark.parametrize("u, expected", [(0.1, 0), (0.25, 1), (0.74, 1), (0.8, 2), (1.0, 2)])
def test_class_of(u, expected):
    assert int(class_of(tf.constant([u]), tf.constant([[0.25, 0.5, 0.25]]))[0]) == expected


def test_classes_have_the_frequencies_of_their_weights():
    weights = np.array([[0.1, 0.0, 0.6, 0.3]], np.float32)
    normal = tf.random.stateless_normal([40000], [5, 6])
    counts = np.bincount(class_of(uniform_of(normal), weights), minlength=4)
    assert counts[1] == 0
    kept = weights[0] > 0
    assert stats.chisquare(counts[kept], 40000 * weights[0][kept] / weights.sum()).pvalue > 0.01


def test_uniform_of_is_the_normal_distribution_function():
    x = np.linspace(-6, 6, 241).astype(np.float32)
    np.testing.assert_allclose(uniform_of(tf.constant(x)), stats.norm.cdf(x), atol=3e-7)


def test_each_row_may_have_its_own_weights():
    weights = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(class_of(tf.constant([0.5, 0.5]), weights), [0, 1])
