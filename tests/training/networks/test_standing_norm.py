import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.residual import Up
from galsim_deep_training.networks.standing_norm import StandingNorm, take_statistics


@pytest.fixture
def images():
    rng = np.random.default_rng(1)
    # So many pixels that it makes no difference whether a variance is of N or of N - 1.
    return (3.0 + 2.0 * rng.standard_normal((16, 15, 15, 4))).astype(np.float32)


def test_a_batch_is_normalised_by_itself_while_trained(images):
    found = StandingNorm(conditional=False)(images, training=True).numpy()
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), 1.0, rtol=1e-3)


def test_without_statistics_nothing_is_normalised(images):
    np.testing.assert_allclose(StandingNorm(conditional=False)(images), images, rtol=1e-3)


def test_statistics_are_the_means_over_batches(images):
    norm = StandingNorm(conditional=False)
    norm(images)
    take_statistics(norm, lambda number: norm(images + number), batches=5)
    found = norm(images + 2.0, training=False).numpy()
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), 0.0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), 1.0, rtol=1e-3)
    # And anew, not in addition.
    take_statistics(norm, lambda number: norm(images), batches=2)
    np.testing.assert_allclose(norm(images).numpy().mean(axis=(0, 1, 2)), 0.0, atol=1e-4)


def test_with_statistics_a_row_depends_on_itself_alone(images):
    block, condition = Up(6), np.random.default_rng(2).standard_normal((16, 3)).astype(np.float32)
    block(images, condition, training=True)
    take_statistics(block, lambda number: block(images, condition))
    together = block(images, condition).numpy()
    alone = np.concatenate([block(images[[n]], condition[[n]]).numpy() for n in range(16)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_condition_decides_gain_and_bias(images):
    norm = StandingNorm()
    conditions = np.eye(16, dtype=np.float32)
    norm(images, conditions, training=True)
    norm.affine.kernel.assign(np.random.default_rng(3).standard_normal((16, 8)))
    same = np.broadcast_to(images[:1], images.shape)
    found = norm(same, conditions).numpy()
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_gradients_reach_everything(images):
    block = Up(6)
    condition = np.ones((16, 3), np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(images, condition, training=True) ** 2)
    for gradient in tape.gradient(loss, [v.value for v in block.trainable_variables]):
        assert gradient is not None
