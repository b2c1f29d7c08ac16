"""Columns of a class are those that galaxies of it have in the natural mix."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.class_completion import CANDIDATES, completed_as
from galsim_deep_training.networks.mixture import class_of

COUNT = 20_000


def complete(columns, normal):
    """Column b goes with a, both are standard normal."""
    a, b = columns["a"], columns["b"]
    a = tf.where(tf.math.is_finite(a), a, tf.where(
        tf.math.is_finite(b), 0.6 * b + 0.8 * normal[:, 0], normal[:, 0]))
    return dict(a=a, b=tf.where(tf.math.is_finite(b), b, 0.6 * a + 0.8 * normal[:, 1]))


def log_weights(columns):
    """The last of three classes is rare, and lies where a + b is large."""
    total = columns["a"] + columns["b"]
    return tf.nn.log_softmax(tf.stack([-total, tf.zeros_like(total), 1.5 * total - 4], axis=-1))


def numbers(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def asked(number, columns, seed=1, count=COUNT):
    """What the mix has for some rows, which of it is of a class, and what is made for that class.
    """
    normal = numbers(seed, count, 2)
    uniform = np.random.default_rng(seed + 1).random(count).astype(np.float32)
    columns = {name: tf.constant(np.broadcast_to(np.float32(values), count))
               for name, values in columns.items()}
    mix = complete(columns, normal)
    of_class = class_of(uniform, tf.exp(log_weights(mix))) == number
    classes = tf.one_hot(tf.fill([count], number), 3)
    made = completed_as(classes, columns, mix, of_class, tf.constant(normal),
                        np.modf(1000 * uniform)[0], complete, log_weights)
    return ({name: values.numpy() for name, values in mix.items()}, of_class.numpy(),
            {name: values.numpy() for name, values in made.items()})


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("given", [{}, dict(a=0.8), dict(b=-0.5)])
def test_columns_are_those_of_the_class_in_the_mix(number, given):
    mix, of_class, made = asked(number, dict(a=np.nan, b=np.nan) | given, count=4 * COUNT)
    for name in {"a", "b"} - {*given}:
        wanted = mix[name][of_class]
        error = 1 / np.sqrt(len(wanted))
        assert made[name].mean() == pytest.approx(wanted.mean(), abs=5 * error + 0.02)
        assert made[name].std() == pytest.approx(wanted.std(), rel=5 * error + 0.03)
        for level in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert np.quantile(made[name], level) == pytest.approx(
                np.quantile(wanted, level), abs=10 * error + 0.04)


def test_the_order_of_the_columns_does_not_matter():
    """The traced functions of a module have them in that of their names."""
    one, other = (asked(0, dict(given))[2]
                  for given in itertools.permutations(dict(a=np.nan, b=-0.5).items()))
    for name, values in one.items():
        np.testing.assert_array_equal(other[name], values)


def test_three_columns_that_are_missing():
    """Points that cover three dimensions and are the same for all rows would show."""
    count, mixing = 4 * COUNT, np.float32([[1, 0, 0], [0.6, 0.8, 0], [-0.3, 0.5, 0.8]])

    def complete(columns, normal):
        values = tf.linalg.matmul(normal, mixing, transpose_b=True)
        return dict(zip("abc", tf.unstack(values, axis=-1), strict=True))

    def log_weights(columns):
        total = columns["a"] - columns["b"] + columns["c"]
        return tf.nn.log_softmax(tf.stack([-total, tf.zeros_like(total), total - 1], axis=-1))

    normal, nothing = tf.constant(numbers(3, count, 3)), tf.fill([count], np.nan)
    uniform = tf.constant(np.random.default_rng(4).random(count), tf.float32)
    mix = complete({}, normal)
    drawn = class_of(uniform, tf.exp(log_weights(mix))).numpy()
    for number in range(3):
        made = completed_as(
            tf.one_hot(tf.fill([count], number), 3), dict.fromkeys("abc", nothing), mix,
            tf.zeros(count, bool), normal, tf.constant(np.modf(1000 * uniform)[0]), complete,
            log_weights)
        wanted, found = (np.stack([each[name] for name in "abc"]) for each in (mix, made))
        wanted = wanted[:, drawn == number]
        np.testing.assert_allclose(found.mean(axis=1), wanted.mean(axis=1), atol=0.04)
        np.testing.assert_allclose(np.cov(found), np.cov(wanted), atol=0.05)


def test_who_asks_for_what_would_have_been_drawn_gets_it():
    mix, of_class, made = asked(0, dict(a=np.nan, b=np.nan))
    assert of_class.any() and not of_class.all()
    for name in mix:
        np.testing.assert_array_equal(made[name][of_class], mix[name][of_class])
        assert (made[name][~of_class] != mix[name][~of_class]).mean() > 0.99


def test_what_is_given_stays():
    _, _, made = asked(2, dict(a=numbers(5, COUNT), b=np.nan))
    np.testing.assert_array_equal(made["a"], numbers(5, COUNT))


def test_rows_do_not_choose_from_the_same_numbers():
    _, _, made = asked(1, dict(a=np.nan, b=0.3))
    assert len(np.unique(made["a"])) > 20 * CANDIDATES
