"""Frequencies of the classes: equal before the fit, and able to learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.networks.class_weights import ClassWeights


@pytest.mark.parametrize("columns", [0, 2])
def test_starts_with_equal_frequencies(columns):
    weights = ClassWeights(5, columns)
    np.testing.assert_allclose(tf.exp(weights(tf.ones([3, columns]))), 0.2, rtol=1e-6)


def test_frequencies_add_up_to_one(awaken):
    weights = ClassWeights(5, 2)
    awaken(weights, size=1.0)
    conditions = np.random.default_rng(1).normal(size=(7, 2)).astype(np.float32)
    probability = np.exp(weights(conditions))
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-5)
    assert np.ptp(probability, axis=0).max() > 1e-3


@pytest.mark.long
def test_learns_a_frequency_that_depends_on_a_column():
    rng = np.random.default_rng(2)
    column = rng.normal(size=(4000, 1)).astype(np.float32)
    truth = 1 / (1 + np.exp(-2 * column[:, 0]))
    classes = tf.one_hot((rng.random(4000) < truth).astype(int), 2)
    weights, optimizer = ClassWeights(2, 1), keras.optimizers.Adam(0.02)
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(tf.reduce_sum(classes * weights(column), axis=-1))
        variables = weights.trainable_variables
        optimizer.apply_gradients(zip(
            tape.gradient(loss, [v.value for v in variables]), variables, strict=True))
    np.testing.assert_allclose(np.exp(weights(column))[:, 1], truth, atol=0.08)
