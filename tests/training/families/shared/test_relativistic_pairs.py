"""The loss of relativistic pairs, and the penalty of the gradient."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.shared.relativistic_pairs import gradient_penalty, pair_loss


def test_only_the_difference_of_scores_counts():
    first, second = tf.constant([1.0, -2.0]), tf.constant([0.5, 3.0])
    assert float(pair_loss(first, second)) == pytest.approx(
        np.mean(np.log1p(np.exp([-0.5, 5.0]))), rel=1e-5)
    assert float(pair_loss(first + 7.0, second + 7.0)) == pytest.approx(
        float(pair_loss(first, second)), rel=1e-5)


def test_the_penalty_is_the_squared_gradient():
    """Of a linear function, whose gradient is known."""
    slope = tf.constant([2.0, -1.0, 0.5])
    images = tf.random.stateless_normal([20000, 3], [1, 2])
    normal = tf.random.stateless_normal([20000, 3], [3, 4])
    penalty, scores = gradient_penalty(
        lambda x: tf.linalg.matvec(x, slope), images, normal, sigma=0.1)
    assert float(penalty) == pytest.approx(4.0 + 1.0 + 0.25, rel=0.03)
    np.testing.assert_allclose(scores, tf.linalg.matvec(images, slope), rtol=1e-4, atol=1e-5)
