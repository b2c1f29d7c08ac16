"""Conditional batch normalisation: batch statistics in training, standing statistics later."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.conditional_batch_norm import (
    ConditionalBatchNorm,
    collect_statistics,
)
from galsim_deep_training.networks.residual import ResBlockUp


@pytest.fixture
def images():
    rng = np.random.default_rng(1)
    # So many pixels that dividing by N or by N - 1 makes no difference to a variance.
    return (3.0 + 2.0 * rng.standard_normal((16, 15, 15, 4))).astype(np.float32)


def assert_standardised(x, atol):
    np.testing.assert_allclose(np.mean(x, axis=(0, 1, 2)), 0.0, atol=atol)
    np.testing.assert_allclose(np.std(x, axis=(0, 1, 2)), 1.0, rtol=1e-3)


@pytest.mark.parametrize("mode", ["training", "batchwise"])
def test_batch_statistics(images, mode):
    norm = ConditionalBatchNorm(conditional=False)
    assert_standardised(norm(images, **{mode: True}), atol=1e-5)


def test_without_statistics_it_is_the_identity(images):
    np.testing.assert_allclose(ConditionalBatchNorm(conditional=False)(images), images, rtol=1e-3)


def test_standing_statistics_are_the_means_over_batches(images):
    norm = ConditionalBatchNorm(conditional=False)
    norm(images)
    collect_statistics(norm, lambda number: norm(images + number), batches=5)
    assert_standardised(norm(images + 2.0), atol=1e-4)


def test_collecting_again_discards_the_statistics_of_before(images):
    norm = ConditionalBatchNorm(conditional=False)
    norm(images)
    collect_statistics(norm, lambda number: norm(images + 5.0), batches=5)
    collect_statistics(norm, lambda number: norm(images), batches=2)
    assert_standardised(norm(images), atol=1e-4)


def test_with_standing_statistics_rows_are_independent(images):
    block = ResBlockUp(6)
    condition = np.random.default_rng(2).standard_normal((16, 3)).astype(np.float32)
    block(images, condition, training=True)
    collect_statistics(block, lambda number: block(images, condition))
    together = block(images, condition).numpy()
    alone = np.concatenate([block(images[[n]], condition[[n]]).numpy() for n in range(16)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_condition_determines_gain_and_bias(images):
    norm = ConditionalBatchNorm()
    conditions = np.eye(16, dtype=np.float32)
    norm(images, conditions, training=True)
    norm.affine.kernel.assign(np.random.default_rng(3).standard_normal((16, 8)))
    same = np.broadcast_to(images[:1], images.shape)
    normalised = norm(same, conditions).numpy()
    assert np.abs(normalised[0] - normalised[1]).max() > 0.1


def test_gradients_reach_all_weights(images):
    block, condition = ResBlockUp(6), np.ones((16, 3), np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(images, condition, training=True) ** 2)
    for gradient in tape.gradient(loss, [v.value for v in block.trainable_variables]):
        assert gradient is not None
