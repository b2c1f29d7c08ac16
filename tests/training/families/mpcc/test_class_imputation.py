"""Imputed columns of a class have the distribution that its galaxies have in the natural mix."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.class_imputation import (
    CANDIDATES,
    imputed_for_class,
    marginal_log_weights,
)
from galsim_deep_training.families.mpcc.networks.mixture_prior import class_of

COUNT = 20_000


def impute(columns, normal):
    """Columns a and b are standard normal and correlated."""
    a, b = columns["a"], columns["b"]
    a = tf.where(tf.math.is_finite(a), a, tf.where(
        tf.math.is_finite(b), 0.6 * b + 0.8 * normal[:, 0], normal[:, 0]))
    return dict(a=a, b=tf.where(tf.math.is_finite(b), b, 0.6 * a + 0.8 * normal[:, 1]))


def log_weights(columns):
    """Three classes; the last is rare and has a large a + b."""
    total = columns["a"] + columns["b"]
    return tf.nn.log_softmax(tf.stack([-total, tf.zeros_like(total), 1.5 * total - 4], axis=-1))


def standard_normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def draw(number, columns, seed=1, count=COUNT):
    """Columns of the natural mix, which rows of it are of a class, and columns of that class."""
    normal = standard_normal(seed, count, 2)
    uniform = np.random.default_rng(seed + 1).random(count).astype(np.float32)
    columns = {name: tf.constant(np.broadcast_to(np.float32(values), count))
               for name, values in columns.items()}
    natural = impute(columns, normal)
    own = class_of(uniform, tf.exp(log_weights(natural))) == number
    classes = tf.one_hot(tf.fill([count], number), 3)
    imputed = imputed_for_class(classes, columns, natural, own, tf.constant(normal),
                                np.modf(1000 * uniform)[0], impute, log_weights)
    return ({name: values.numpy() for name, values in natural.items()}, own.numpy(),
            {name: values.numpy() for name, values in imputed.items()})


@pytest.mark.long
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("known", [{}, dict(a=0.8), dict(b=-0.5)])
def test_columns_have_the_distribution_of_the_class_in_the_mix(number, known):
    natural, own, imputed = draw(number, dict(a=np.nan, b=np.nan) | known, count=4 * COUNT)
    for name in {"a", "b"} - {*known}:
        expected = natural[name][own]
        error = 1 / np.sqrt(len(expected))
        assert imputed[name].mean() == pytest.approx(expected.mean(), abs=5 * error + 0.02)
        assert imputed[name].std() == pytest.approx(expected.std(), rel=5 * error + 0.03)
        for level in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert np.quantile(imputed[name], level) == pytest.approx(
                np.quantile(expected, level), abs=10 * error + 0.04)


def test_order_of_the_columns_does_not_matter():
    """The traced functions of a module sort them by name."""
    first, second = (draw(0, dict(columns))[2]
                     for columns in itertools.permutations(dict(a=np.nan, b=-0.5).items()))
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values)


@pytest.mark.long
def test_three_missing_columns():
    """If all rows used the same points, these would be too coarse in three dimensions."""
    count, mixing = 4 * COUNT, np.float32([[1, 0, 0], [0.6, 0.8, 0], [-0.3, 0.5, 0.8]])

    def impute(columns, normal):
        values = tf.linalg.matmul(normal, mixing, transpose_b=True)
        return dict(zip("abc", tf.unstack(values, axis=-1), strict=True))

    def log_weights(columns):
        total = columns["a"] - columns["b"] + columns["c"]
        return tf.nn.log_softmax(tf.stack([-total, tf.zeros_like(total), total - 1], axis=-1))

    normal = tf.constant(standard_normal(3, count, 3))
    missing = dict.fromkeys("abc", tf.fill([count], np.nan))
    uniform = tf.constant(np.random.default_rng(4).random(count), tf.float32)
    natural = impute({}, normal)
    drawn = class_of(uniform, tf.exp(log_weights(natural))).numpy()
    for number in range(3):
        columns = imputed_for_class(
            tf.one_hot(tf.fill([count], number), 3), missing, natural, tf.zeros(count, bool),
            normal, tf.constant(np.modf(1000 * uniform)[0]), impute, log_weights)
        expected, imputed = (
            np.stack([values[name] for name in "abc"]) for values in (natural, columns))
        expected = expected[:, drawn == number]
        np.testing.assert_allclose(imputed.mean(axis=1), expected.mean(axis=1), atol=0.04)
        np.testing.assert_allclose(np.cov(imputed), np.cov(expected), atol=0.05)


def test_galaxies_whose_drawn_class_is_the_given_one_do_not_change():
    natural, own, imputed = draw(0, dict(a=np.nan, b=np.nan))
    assert own.any() and not own.all()
    for name in natural:
        np.testing.assert_array_equal(imputed[name][own], natural[name][own])
        assert (imputed[name][~own] != natural[name][~own]).mean() > 0.99


def test_known_values_do_not_change():
    known = standard_normal(5, COUNT)
    np.testing.assert_array_equal(draw(2, dict(a=known, b=np.nan))[2]["a"], known)


def test_rows_have_different_candidates():
    assert len(np.unique(draw(1, dict(a=np.nan, b=0.3))[2]["a"])) > 20 * CANDIDATES


@pytest.mark.parametrize("known", [{}, dict(a=0.8), dict(b=-0.5), dict(a=0.8, b=-0.5)])
def test_marginal_weights_are_the_frequencies_of_the_drawn_classes(known):
    columns = {name: tf.fill([COUNT], np.float32(value))
               for name, value in (dict(a=np.nan, b=np.nan) | known).items()}
    weights = tf.exp(log_weights(impute(columns, tf.constant(standard_normal(6, COUNT, 2)))))
    expected = tf.reduce_mean(weights, axis=0).numpy()
    found = tf.exp(marginal_log_weights(
        {name: values[:3] for name, values in columns.items()}, 2, impute, log_weights)).numpy()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found, np.tile(expected, (3, 1)), atol=0.01)
