import galsim
import numpy as np
import tensorflow as tf

from galsim_deep_training.phases.making import moved


def test_moved_is_a_shift():
    galaxy = galsim.Gaussian(sigma=3.0).shear(g1=0.2)
    image = galaxy.drawImage(nx=32, ny=32, scale=1.0, method="no_pixel", dtype=float).array
    expected = galaxy.shift(0.3, -0.4).drawImage(
        nx=32, ny=32, scale=1.0, method="no_pixel", dtype=float).array
    found = moved(tf.constant(image[None], tf.float32), tf.constant([[0.3, -0.4]]))
    np.testing.assert_allclose(found[0], expected, atol=2e-4 * image.max())


def test_nothing_moved():
    image = np.random.default_rng(1).standard_normal((2, 9, 9)).astype(np.float32)
    np.testing.assert_allclose(moved(tf.constant(image), tf.zeros([2, 2])), image, atol=1e-5)
