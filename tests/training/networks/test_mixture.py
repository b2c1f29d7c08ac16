import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from galsim_deep_training.losses import class_surprise
from galsim_deep_training.networks.mixture import FLOOR, MixturePrior, class_of, uniform_of

NOTHING = tf.zeros([1, 0])


def mixture(means, deviations, **settings):
    means = np.asarray(means, np.float32)
    prior = MixturePrior(*means.shape, floor=0.0, **settings)
    prior.means.assign(means)
    prior.spreads.assign(np.log(np.broadcast_to(deviations, means.shape)).astype(np.float32))
    return prior


def test_membership():
    prior = mixture([[-1.0], [1.0]], 1.0)
    found = prior.log_membership(tf.constant([[0.5]]), tf.zeros([1, 2]), NOTHING)
    assert float(tf.exp(found)[0, 1]) == pytest.approx(0.7311, abs=1e-4)
    assert float(class_surprise(tf.constant([[0.0, 1.0]]), found)[0]) == pytest.approx(
        0.3133, abs=1e-4)


def test_weights_of_classes_count():
    prior = mixture([[-1.0], [1.0]], 1.0)
    log_weights = tf.math.log([[0.8, 0.2]])
    found = tf.exp(prior.log_membership(tf.zeros([1, 1]), log_weights, NOTHING))
    np.testing.assert_allclose(found, [[0.8, 0.2]], rtol=1e-5)


def test_membership_is_bayes():
    rng = np.random.default_rng(3)
    means, deviations = rng.standard_normal((4, 3)), rng.uniform(0.5, 2, (4, 3))
    prior, latent = mixture(means, deviations), rng.standard_normal((6, 3)).astype(np.float32)
    density = stats.norm.pdf(latent[:, None], means, deviations).prod(axis=-1)
    expected = density / density.sum(axis=1, keepdims=True)
    found = tf.exp(prior.log_membership(latent, tf.zeros([1, 4]), NOTHING))
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-7)


def test_far_away_nothing_overflows():
    prior = mixture([[-1.0], [1.0]], 1.0)
    found = prior.log_membership(tf.constant([[1e4]]), tf.zeros([1, 2]), NOTHING)
    assert np.isfinite(found.numpy()).all() and float(found[0, 1]) == 0.0


def test_draws_have_the_moments_of_their_class():
    prior = mixture([[-1.0, 3.0], [1.0, 0.0]], [[0.5, 2.0], [1.0, 0.7]])
    normal = tf.random.stateless_normal([20000, 2], [1, 2])
    drawn = prior.draw(normal, tf.tile([[1.0, 0.0]], [20000, 1]), NOTHING).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), [-1.0, 3.0], atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), [0.5, 2.0], rtol=0.02)


def test_no_class_is_narrower_than_the_floor():
    prior = MixturePrior(3, 2)
    prior.spreads.assign(tf.fill([3, 2], -50.0))
    assert prior.components(NOTHING)[1].numpy().min() == pytest.approx(FLOOR)
    # Whatever the columns say.
    prior = MixturePrior(3, 2, columns=1)
    for variable in prior.moves.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(0, 30, variable.shape))
    deviation = prior.components(tf.constant([[-5.0], [5.0]]))[1].numpy()
    assert deviation.min() >= FLOOR and np.ptp(deviation) > 0.5


def test_deviations_are_one_at_first():
    np.testing.assert_allclose(MixturePrior(3, 4).components(NOTHING)[1], 1.0, rtol=1e-6)


@pytest.mark.parametrize("separation", [1.0, 8.0])
def test_means_begin_as_far_apart_as_is_asked(separation):
    means = MixturePrior(4, 6, separation=separation, seed=3).means.numpy()
    np.testing.assert_allclose(means @ means.T, separation**2 * np.eye(4), atol=1e-4)


def test_columns_do_nothing_at_first():
    prior, context = MixturePrior(3, 4, columns=2), tf.constant([[0.3, -2.0], [5.0, 1.0]])
    mean, deviation = prior.components(context)
    assert mean.shape == deviation.shape == (2, 3, 4)
    np.testing.assert_allclose(mean[0], prior.means.numpy())
    np.testing.assert_allclose(mean[0], mean[1])
    np.testing.assert_allclose(deviation, 1.0, rtol=1e-6)


def test_columns_move_classes_once_learned():
    prior, context = MixturePrior(2, 3, columns=1), tf.constant([[-1.0], [1.0]])
    with tf.GradientTape() as tape:
        mean, deviation = prior.components(context)
        loss = tf.reduce_sum(mean[0] - mean[1]) + tf.reduce_sum(deviation[0])
    moves = prior.moves.trainable_variables
    for variable, gradient in zip(moves, tape.gradient(loss, [v.value for v in moves]),
                                  strict=True):
        if gradient is not None:
            variable.assign_sub(0.5 * gradient)
    mean, deviation = prior.components(context)
    assert float(tf.reduce_max(tf.abs(mean[0] - mean[1]))) > 0.01


def test_a_single_class_is_standard_normal_and_stays_so():
    prior = MixturePrior(1, 5, columns=2)
    mean, deviation = prior.components(tf.ones([4, 2]))
    np.testing.assert_allclose(mean, 0.0)
    np.testing.assert_allclose(deviation, 1.0, rtol=1e-6)
    assert not prior.trainable_variables


@pytest.mark.parametrize("u, expected", [(0.1, 0), (0.25, 1), (0.74, 1), (0.8, 2), (1.0, 2)])
def test_class_of(u, expected):
    assert int(class_of(tf.constant([u]), tf.constant([[0.25, 0.5, 0.25]]))[0]) == expected


def test_classes_are_as_frequent_as_their_weights():
    weights = np.array([[0.1, 0.0, 0.6, 0.3]], np.float32)
    normal = tf.random.stateless_normal([40000], [5, 6])
    counts = np.bincount(class_of(uniform_of(normal), weights), minlength=4)
    assert counts[1] == 0
    kept = weights[0] > 0
    assert stats.chisquare(counts[kept], 40000 * weights[0][kept] / weights.sum()).pvalue > 0.01


def test_uniform_of():
    x = np.linspace(-6, 6, 241).astype(np.float32)
    np.testing.assert_allclose(uniform_of(tf.constant(x)), stats.norm.cdf(x), atol=3e-7)


def test_classes_of_rows_with_different_weights():
    weights = tf.constant([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(class_of(tf.constant([0.5, 0.5]), weights), [0, 1])
