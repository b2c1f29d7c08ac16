"""Columns that are not given: drawn from the right distribution, not at the cost of others."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.completion import Completion


def sample(rng, count):
    """Three columns: b follows a, c is skewed and knows of neither."""
    a = rng.standard_normal(count)
    return np.stack([a, 0.8 * a + 0.3 * rng.standard_normal(count), rng.exponential(size=count)],
                    axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    keras.utils.set_random_seed(1)
    network, rng = Completion(3, hidden=32), np.random.default_rng(2)
    network.log_prob(tf.zeros((1, 3)), tf.zeros((1, 3), bool))
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 800))

    @tf.function
    def step(values, given):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(network.log_prob(values, given))
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(
            tape.gradient(loss, [v.value for v in variables]), variables, strict=True))
        return loss

    for _ in range(800):
        step(tf.constant(sample(rng, 512)), tf.constant(rng.random((512, 3)) < 0.5))
    return network


def filled(network, values, given, seed=3):
    normal = np.random.default_rng(seed).standard_normal(values.shape).astype(np.float32)
    return network(tf.constant(values), tf.constant(given), tf.constant(normal)).numpy()


def test_what_is_given_stays(fitted):
    values = sample(np.random.default_rng(4), 100)
    given = np.random.default_rng(5).random((100, 3)) < 0.5
    result = filled(fitted, values, given)
    np.testing.assert_array_equal(result[given], values[given])
    assert np.all(np.isfinite(result))


def test_what_stands_for_a_missing_value_does_not_count(fitted):
    values = sample(np.random.default_rng(4), 50)
    given = np.tile([True, False, False], (50, 1))
    changed = np.where(given, values, np.nan).astype(np.float32)
    np.testing.assert_array_equal(filled(fitted, values, given), filled(fitted, changed, given))


def test_nothing_given_is_the_sample(fitted):
    count = 20_000
    result = filled(fitted, np.zeros((count, 3), np.float32), np.zeros((count, 3), bool))
    wanted = sample(np.random.default_rng(6), count)
    np.testing.assert_allclose(result.mean(axis=0), wanted.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(result.std(axis=0), wanted.std(axis=0), rtol=0.08)
    assert np.corrcoef(result[:, 0], result[:, 1])[0, 1] == pytest.approx(0.936, abs=0.03)
    for level in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(np.quantile(result, level, axis=0),
                                   np.quantile(wanted, level, axis=0), atol=0.12)


@pytest.mark.parametrize("known, missing, slope, scatter", [(0, 1, 0.8, 0.3),
                                                            (1, 0, 0.8 / 0.73, 0.351)])
def test_what_is_given_counts_in_either_direction(fitted, known, missing, slope, scatter):
    values = sample(np.random.default_rng(7), 5000)
    given = np.zeros((5000, 3), bool)
    given[:, known] = True
    result = filled(fitted, values, given)
    fit = np.polyfit(values[:, known], result[:, missing], 1)
    assert fit[0] == pytest.approx(slope, abs=0.06)
    rest = result[:, missing] - np.polyval(fit, values[:, known])
    assert rest.std() == pytest.approx(scatter, rel=0.15)


def test_density_integrates_to_one(fitted):
    axis = np.linspace(-8, 8, 4001, dtype=np.float32)
    values = np.stack([axis * 0 + 0.3, axis, axis * 0 + 1.0], axis=1)
    given = np.tile([True, False, True], (len(axis), 1))
    density = np.exp(fitted.log_prob(tf.constant(values), tf.constant(given)))
    assert np.trapezoid(density, axis) == pytest.approx(1.0, abs=2e-3)


def test_all_given_leaves_nothing_to_say(fitted):
    values = tf.constant(sample(np.random.default_rng(8), 5))
    np.testing.assert_array_equal(fitted.log_prob(values, tf.ones((5, 3), bool)), 0.0)
