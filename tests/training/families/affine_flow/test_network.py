"""The multiscale flow of images."""

import numpy as np
import pytest
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep_training.families.affine_flow.network import MultiscaleFlow


@pytest.fixture(scope="module")
def flow(awaken):
    flow = MultiscaleFlow(8, 2, levels=2, layers=2, hidden=6, seed=3)
    flow(tf.zeros([1, 8, 8, 2]))
    awaken(flow, size=0.2)
    return flow


@pytest.fixture(scope="module")
def images():
    return tf.random.stateless_normal([4, 8, 8, 2], [1, 2])


def test_it_is_invertible(flow, images):
    z, _ = flow(images)
    np.testing.assert_allclose(flow.inverse(z), images, atol=1e-3)
    np.testing.assert_allclose(flow(flow.inverse(z))[0], z, atol=1e-3)


def test_the_determinant_is_that_of_the_jacobian(flow, images):
    x = tf.reshape(images[:1], [1, 128])
    with tf.GradientTape() as tape:
        tape.watch(x)
        z, log_det = flow(tf.reshape(x, [1, 8, 8, 2]))
    jacobian = tape.jacobian(z, x)[0, :, 0, :].numpy().astype(float)
    _, expected = np.linalg.slogdet(jacobian)
    np.testing.assert_allclose(log_det, expected, rtol=1e-3)
    assert abs(expected) > 0.1


def test_an_untrained_flow_turns_channels_only(images):
    """A rotation: the squares of all numbers sum to the same, and the determinant is one."""
    flow = MultiscaleFlow(8, 2, levels=2, layers=2, hidden=6, seed=3)
    z, log_det = flow(images)
    np.testing.assert_allclose(tf.reduce_sum(z**2, axis=-1),
                               tf.reduce_sum(images**2, axis=[1, 2, 3]), rtol=1e-4)
    np.testing.assert_allclose(log_det, np.zeros(4), atol=1e-5)


def test_the_normalisation_is_adapted_to_the_data():
    flow = MultiscaleFlow(8, 2, levels=2, layers=1, hidden=6, seed=3)
    images = 5.0 + 30.0 * tf.random.stateless_normal([64, 8, 8, 2], [1, 2])
    flow.adapt(images)
    z, _ = flow(images)
    np.testing.assert_allclose(np.mean(z), 0.0, atol=0.05)
    np.testing.assert_allclose(np.std(z), 1.0, atol=0.05)


def test_sizes_that_cannot_be_halved():
    with pytest.raises(GalSimConfigError, match="stamp.size is 12.*multiple of 8"):
        MultiscaleFlow(12, 1, levels=3, layers=1, hidden=4, seed=1)
