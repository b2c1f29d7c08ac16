"""What is inferred by an autoencoder."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.shared.autoencoder import (
    Autoencoder,
    Inference,
    kl_divergence,
)


def test_kl_divergence_known_values():
    mean, scale = tf.constant([[0.0, 0.0], [1.0, 2.0]]), tf.constant([[1.0, 1.0], [1.0, 0.5]])
    expected = [0.0, 0.5 + 0.5 * (4 + 0.25 - 1) - np.log(0.5)]
    np.testing.assert_allclose(kl_divergence(mean, scale), expected, rtol=1e-6)


def test_kl_divergence_sums_over_all_axes_but_the_first():
    rng = np.random.default_rng(1)
    mean, scale = rng.standard_normal((3, 4, 4, 2)), rng.uniform(0.5, 2.0, (3, 4, 4, 2))
    maps = kl_divergence(tf.constant(mean), tf.constant(scale))
    vectors = kl_divergence(tf.constant(mean.reshape(3, -1)), tf.constant(scale.reshape(3, -1)))
    assert maps.shape == (3,) and np.all(maps.numpy() > 0)
    np.testing.assert_allclose(maps, vectors)


def test_kl_divergence_is_an_expected_log_ratio():
    mean, scale = 0.7, 0.4
    z = mean + scale * np.random.default_rng(2).standard_normal(200_000)
    log_ratio = -0.5 * ((z - mean) / scale) ** 2 - np.log(scale) + 0.5 * z**2
    found = float(kl_divergence(tf.constant([[mean]]), tf.constant([[scale]]))[0])
    assert found == pytest.approx(log_ratio.mean(), abs=0.01)


def test_penalties_of_an_inference_are_its_own():
    one, other = (Inference(tf.zeros([1, 4, 4]), kl={}) for _ in range(2))
    assert one.penalties == {} and one.penalties is not other.penalties


def test_an_autoencoder_has_to_do_everything():
    class Half(Autoencoder):
        def encode(self, stamps, psfs, noise_sigma, columns):
            return stamps, stamps

    with pytest.raises(TypeError, match="decode.*infer"):
        Half()
