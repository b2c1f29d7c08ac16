"""Imputation: missing columns are drawn from their distribution given the others."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.conditions import Conditions
from galsim_deep_training.networks.imputation import Imputation, imputed


def sample(rng, count):
    """Three columns: b depends on a; c is skewed and independent of both."""
    a = rng.standard_normal(count)
    return np.stack([a, 0.8 * a + 0.3 * rng.standard_normal(count), rng.exponential(size=count)],
                    axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    keras.utils.set_random_seed(1)
    network, rng = Imputation(3, hidden=32), np.random.default_rng(2)
    network.log_prob(tf.zeros((1, 3)), tf.zeros((1, 3), bool))
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 800))

    @tf.function
    def step(values, observed):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(network.log_prob(values, observed))
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(
            tape.gradient(loss, [v.value for v in variables]), variables, strict=True))
        return loss

    for _ in range(800):
        step(tf.constant(sample(rng, 512)), tf.constant(rng.random((512, 3)) < 0.5))
    return network


def fill(network, values, observed, seed=3):
    normal = np.random.default_rng(seed).standard_normal(values.shape).astype(np.float32)
    return network(tf.constant(values), tf.constant(observed), tf.constant(normal)).numpy()


@pytest.mark.long
def test_observed_values_do_not_change(fitted):
    values = sample(np.random.default_rng(4), 100)
    observed = np.random.default_rng(5).random((100, 3)) < 0.5
    result = fill(fitted, values, observed)
    np.testing.assert_array_equal(result[observed], values[observed])
    assert np.all(np.isfinite(result))


@pytest.mark.long
def test_missing_values_may_be_nan(fitted):
    values = sample(np.random.default_rng(4), 50)
    observed = np.tile([True, False, False], (50, 1))
    with_nan = np.where(observed, values, np.nan).astype(np.float32)
    np.testing.assert_array_equal(fill(fitted, values, observed), fill(fitted, with_nan, observed))


@pytest.mark.long
def test_all_columns_missing_gives_the_joint_distribution(fitted):
    count = 20_000
    result = fill(fitted, np.zeros((count, 3), np.float32), np.zeros((count, 3), bool))
    expected = sample(np.random.default_rng(6), count)
    np.testing.assert_allclose(result.mean(axis=0), expected.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(result.std(axis=0), expected.std(axis=0), rtol=0.08)
    assert np.corrcoef(result[:, 0], result[:, 1])[0, 1] == pytest.approx(0.936, abs=0.03)
    for level in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(np.quantile(result, level, axis=0),
                                   np.quantile(expected, level, axis=0), atol=0.12)


@pytest.mark.long
@pytest.mark.parametrize("known, missing, slope, scatter", [(0, 1, 0.8, 0.3),
                                                            (1, 0, 0.8 / 0.73, 0.351)])
def test_imputed_values_depend_on_observed_ones_in_either_order(
        fitted, known, missing, slope, scatter):
    values = sample(np.random.default_rng(7), 5000)
    observed = np.zeros((5000, 3), bool)
    observed[:, known] = True
    result = fill(fitted, values, observed)
    line = np.polyfit(values[:, known], result[:, missing], 1)
    assert line[0] == pytest.approx(slope, abs=0.06)
    residual = result[:, missing] - np.polyval(line, values[:, known])
    assert residual.std() == pytest.approx(scatter, rel=0.15)


@pytest.mark.long
def test_density_is_normalised(fitted):
    axis = np.linspace(-8, 8, 4001, dtype=np.float32)
    values = np.stack([axis * 0 + 0.3, axis, axis * 0 + 1.0], axis=1)
    observed = np.tile([True, False, True], (len(axis), 1))
    density = np.exp(fitted.log_prob(tf.constant(values), tf.constant(observed)))
    assert np.trapezoid(density, axis) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.long
def test_log_density_of_no_values_is_zero(fitted):
    values = tf.constant(sample(np.random.default_rng(8), 5))
    np.testing.assert_array_equal(fitted.log_prob(values, tf.ones((5, 3), bool)), 0.0)


def test_imputed_catalogue_columns(recipe):
    """Observed values do not change, drawn ones are in the range of the training set."""
    conditions, imputation = Conditions(recipe.columns), Imputation(len(recipe.columns))
    ranges = dict(flux_radius=(3.0, 12.0), mag_auto=(18.0, 24.0), zphot=(0.5, 2.0))
    conditions.adapt({name: np.array(limits, np.float32) for name, limits in ranges.items()})
    columns = dict(flux_radius=tf.constant([4.0, np.nan]), mag_auto=tf.constant([21.0, 22.0]),
                   zphot=tf.constant([np.nan, np.nan]))
    for sign, end in ((-1, 0), (1, 1)):
        result = imputed(imputation, conditions, columns, normal=sign * 100.0 * tf.ones([2, 3]))
        assert list(result) == [column.name for column in recipe.columns]
        np.testing.assert_array_equal(result["mag_auto"], columns["mag_auto"])
        # The highest size of this training set exceeds the valid range of the recipe, 8 pixels.
        np.testing.assert_array_equal(result["flux_radius"], [4.0, ranges["flux_radius"][end]])
        np.testing.assert_array_equal(result["zphot"], 2 * [ranges["zphot"][end]])
