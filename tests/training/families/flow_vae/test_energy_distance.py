"""The energy distance: against its definition, a closed form, and as a loss."""

import numpy as np
import tensorflow as tf

from galsim_deep_training.families.flow_vae.energy_distance import energy_distance


def normal(count, size=2, seed=0):
    return np.random.default_rng(seed).standard_normal((count, size)).astype(np.float32)


def test_equals_the_sum_over_pairs():
    x, y = normal(5), normal(5, seed=1) + 1
    total = 0.0
    for i in range(5):
        for j in range(5):
            if i != j:
                total += (2 * np.linalg.norm(x[i] - y[j]) - np.linalg.norm(x[i] - x[j])
                          - np.linalg.norm(y[i] - y[j])) / 20
    np.testing.assert_allclose(energy_distance(x, y), total, rtol=1e-3)


def assert_zero_on_average(distances):
    assert abs(np.mean(distances)) < 4 * np.std(distances) / np.sqrt(len(distances))


def test_zero_on_average_for_one_distribution():
    distances = [float(energy_distance(normal(64, seed=2 * n), normal(64, seed=2 * n + 1)))
                 for n in range(100)]
    assert_zero_on_average(distances)
    assert np.std(distances) < 0.1


def test_unbiased_for_rows_that_share_a_column():
    """If pairs of equal rows were used, the distance would be negative on average."""
    distances = []
    for n in range(100):
        column = normal(32, 1, seed=3 * n)
        distances.append(float(energy_distance(
            *(np.concatenate([column, normal(32, 1, seed=3 * n + k)], axis=1) for k in (1, 2)))))
    assert_zero_on_average(distances)


def test_shift_in_one_dimension():
    """For N(0, 1) and N(d, 1) it is d^2 / sqrt(pi) for small d (Szekely & Rizzo 2013)."""
    x, y = normal(3000, 1), normal(3000, 1, seed=1)
    distance = energy_distance(x, y + 0.5 - y.mean() + x.mean())
    np.testing.assert_allclose(distance, 0.25 / np.pi**0.5, rtol=0.1)


def test_gradient_descent_makes_samples_alike():
    x, y = tf.Variable(normal(64) - 1), normal(64, seed=1)
    for _ in range(60):
        with tf.GradientTape() as tape:
            distance = energy_distance(x, y)
        x.assign_sub(40.0 * tape.gradient(distance, x))
    np.testing.assert_allclose(x.numpy().mean(axis=0), y.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(x.numpy().std(axis=0), y.std(axis=0), atol=0.15)
