import numpy as np
import pytest
import tensorflow as tf

import galsim_deep.clipping
from galsim_deep_training.data.noise import relative_power
from galsim_deep_training.physics.observation import clipped, correlated, observe


def point(size):
    psf = np.zeros((1, size, size), np.float32)
    psf[0, size // 2, size // 2] = 1.0
    return psf


def test_through_a_point_without_noise_nothing_changes():
    image = np.random.default_rng(1).uniform(size=(1, 16, 16)).astype(np.float32)
    seen = observe(image, point(5), tf.zeros([1]), tf.ones([1, 16, 9]), tf.ones([1, 16, 16]))
    np.testing.assert_allclose(seen, image, atol=1e-6)


def test_white_noise_has_the_deviation_that_is_asked_for():
    normal = tf.random.stateless_normal([200, 16, 16], [1, 2])
    zero = tf.zeros([200, 16, 16])
    sigma = tf.concat([tf.fill([100], 0.5), tf.fill([100], 2.0)], axis=0)
    seen = observe(zero, np.repeat(point(3), 200, 0), sigma, tf.ones([200, 16, 9]), normal)
    found = np.std(seen, axis=(1, 2))
    assert found[:100].mean() == pytest.approx(0.5, rel=0.02)
    assert found[100:].mean() == pytest.approx(2.0, rel=0.02)
    np.testing.assert_allclose(correlated(normal, tf.ones([1, 16, 9])), normal, atol=1e-5)


def test_noise_is_correlated_as_it_should_be():
    lags = np.arange(9) - 4
    correlation = np.exp(-0.5 * np.hypot(*np.meshgrid(lags, lags)) ** 2)
    power = relative_power(correlation, 32)
    normal = tf.random.stateless_normal([400, 32, 32], [3, 4])
    noise = correlated(normal, power[None]).numpy()
    assert noise.std() == pytest.approx(1.0, rel=0.02)
    assert np.mean(noise[:, :, 1:] * noise[:, :, :-1]) == pytest.approx(np.exp(-0.5), abs=0.04)
    assert np.mean(noise[:, 3:] * noise[:, :-3]) == pytest.approx(np.exp(-4.5), abs=0.04)


def test_clipped():
    """As it is done outside of a graph."""
    sigma = np.array([1.0, 0.1], np.float32)
    stamps = np.random.default_rng(1).normal(0, 2.0, (2, 40, 40)).astype(np.float32)
    stamps[1] *= 0.1
    found = clipped(tf.constant(stamps), tf.constant(sigma), 3.0, 6.0).numpy()
    for one, stamp, level in zip(found, stamps, sigma, strict=True):
        np.testing.assert_array_equal(one, galsim_deep.clipping.clipped(stamp, level, 3.0, 6.0))
        assert 0 < np.count_nonzero(one) < np.count_nonzero(stamp > 3 * level)


def gradient_of_clipping(stamps):
    stamps = tf.constant(stamps)
    with tf.GradientTape() as tape:
        tape.watch(stamps)
        seen = tf.reduce_sum(clipped(stamps, tf.ones([len(stamps)]), 3.0, 5.0))
    return tape.gradient(seen, stamps).numpy()


def test_light_below_the_threshold_may_rise():
    found = gradient_of_clipping([[[-2.0, 0.0, 2.9, 3.1, 7.0, 20.0]]])[0, 0]
    np.testing.assert_allclose(found[[0, 1, 4, 5]], [0, 0, 1, 1], atol=0.02)
    # As it appears at once: by three for a step as wide as the noise.
    np.testing.assert_allclose(found[[2, 3]], [1.19, 2.19], atol=0.01)


def test_beside_a_peak_the_gradient_of_clipping_is_that_of_what_is_expected():
    """A bright pixel keeps its neighbour if that is above the threshold."""
    normal = np.random.default_rng(1).normal(size=20000).astype(np.float32)
    for mean in (1.0, 2.0, 3.0, 4.0, 6.0):
        def seen(light):
            stamps = np.stack([np.full_like(normal, 50.0), light + normal], axis=-1)[:, None]
            return tf.constant(stamps)

        rise = [clipped(seen(mean + change), tf.ones([20000]), 3.0, 5.0)[..., 1].numpy().mean()
                for change in (-0.2, 0.2)]
        found = gradient_of_clipping(seen(mean))[..., 1].mean()
        # The step is wider than it should be, by the square root of two.
        assert found == pytest.approx((rise[1] - rise[0]) / 0.4, abs=0.4)
