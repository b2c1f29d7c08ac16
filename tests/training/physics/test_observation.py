"""Simulated observations: noise with the right variance and power spectrum, and clipping."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.observations import clipping
from galsim_deep.observations.noise import relative_power
from galsim_deep.observations.observation import Observation
from galsim_deep_training.physics.observation import clipped, correlated, observe


def point(size):
    psf = np.zeros((1, size, size), np.float32)
    psf[0, size // 2, size // 2] = 1.0
    return psf


def test_a_point_like_psf_without_noise_changes_nothing():
    image = np.random.default_rng(1).uniform(size=(1, 16, 16)).astype(np.float32)
    stamp = observe(image, point(5), tf.zeros([1]), tf.ones([1, 16, 9]), tf.ones([1, 16, 16]))
    np.testing.assert_allclose(stamp, image, atol=1e-6)


def test_white_noise_has_the_standard_deviation():
    normal = tf.random.stateless_normal([200, 16, 16], [1, 2])
    zero = tf.zeros([200, 16, 16])
    sigma = tf.concat([tf.fill([100], 0.5), tf.fill([100], 2.0)], axis=0)
    stamps = observe(zero, np.repeat(point(3), 200, 0), sigma, tf.ones([200, 16, 9]), normal)
    deviation = np.std(stamps, axis=(1, 2))
    assert deviation[:100].mean() == pytest.approx(0.5, rel=0.02)
    assert deviation[100:].mean() == pytest.approx(2.0, rel=0.02)
    np.testing.assert_allclose(correlated(normal, tf.ones([1, 16, 9])), normal, atol=1e-5)


def test_noise_has_the_correlation_function():
    lags = np.arange(9) - 4
    correlation = np.exp(-0.5 * np.hypot(*np.meshgrid(lags, lags)) ** 2)
    power = relative_power(correlation, 32)
    normal = tf.random.stateless_normal([400, 32, 32], [3, 4])
    noise = correlated(normal, power[None]).numpy()
    assert noise.std() == pytest.approx(1.0, rel=0.02)
    assert np.mean(noise[:, :, 1:] * noise[:, :, :-1]) == pytest.approx(np.exp(-0.5), abs=0.04)
    assert np.mean(noise[:, 3:] * noise[:, :-3]) == pytest.approx(np.exp(-4.5), abs=0.04)


def test_noise_is_that_of_numpy():
    """The same white noise filtered by the same power."""
    lags = np.arange(9) - 4
    power = relative_power(np.exp(-0.5 * np.hypot(*np.meshgrid(lags, lags)) ** 2), 32)
    white = np.random.default_rng(1).standard_normal((3, 32, 32), np.float32)
    expected = np.fft.irfft2(np.fft.rfft2(white) * np.sqrt(power), (32, 32))
    np.testing.assert_allclose(correlated(white, power[None]), expected, atol=1e-5)


def test_convolution_equals_that_of_a_validation():
    """A smooth profile through a smooth PSF, against what a validation draws by GalSim."""
    axis = np.arange(33) - 16
    psf = np.exp(-0.5 * np.hypot(*np.meshgrid(axis, axis)) ** 2 / 2.5**2)
    psf /= psf.sum()
    image = galsim.Gaussian(sigma=4.0, flux=3.0).shear(g1=0.2).drawImage(
        nx=64, ny=64, scale=1.0, method="no_pixel", dtype=float)
    observation = Observation(number=0, stamp=np.zeros((64, 64)), psf=psf, pixel_scale=1.0,
                              noise_sigma=1.0, columns={})
    expected = observation.convolved(galsim.InterpolatedImage(image))
    stamp = observe(image.array[None].astype(np.float32), psf[None].astype(np.float32),
                    tf.zeros([1]), tf.ones([1, 64, 33]), tf.zeros([1, 64, 64]))[0]
    np.testing.assert_allclose(stamp, expected, atol=1e-3 * expected.max())


def test_clipped_equals_the_plugin():
    sigma = np.array([1.0, 0.1], np.float32)
    stamps = np.random.default_rng(1).normal(0, 2.0, (2, 40, 40)).astype(np.float32)
    stamps[1] *= 0.1
    results = clipped(tf.constant(stamps), tf.constant(sigma), 3.0, 6.0).numpy()
    for result, stamp, level in zip(results, stamps, sigma, strict=True):
        np.testing.assert_array_equal(result, clipping.clipped(stamp, level, 3.0, 6.0))
        assert 0 < np.count_nonzero(result) < np.count_nonzero(stamp > 3 * level)


def gradient_of_clipping(stamps):
    stamps = tf.constant(stamps)
    with tf.GradientTape() as tape:
        tape.watch(stamps)
        total = tf.reduce_sum(clipped(stamps, tf.ones([len(stamps)]), 3.0, 5.0))
    return tape.gradient(total, stamps).numpy()


def test_surrogate_gradient_at_the_threshold():
    gradient = gradient_of_clipping([[[-2.0, 0.0, 2.9, 3.1, 7.0, 20.0]]])[0, 0]
    np.testing.assert_allclose(gradient[[0, 1, 4, 5]], [0, 0, 1, 1], atol=0.02)
    # The height of the jump, 3, times a Gaussian of unit sigma at 0.1 from its mean.
    np.testing.assert_allclose(gradient[[2, 3]], [1.19, 2.19], atol=0.01)


def test_surrogate_gradient_is_close_to_that_of_the_expectation_over_noise():
    """The neighbour of a bright pixel is kept if it is above the threshold."""
    normal = np.random.default_rng(1).normal(size=20000).astype(np.float32)
    for mean in (1.0, 2.0, 3.0, 4.0, 6.0):
        def noisy(light):
            stamps = np.stack([np.full_like(normal, 50.0), light + normal], axis=-1)[:, None]
            return tf.constant(stamps)

        rise = [clipped(noisy(mean + change), tf.ones([20000]), 3.0, 5.0)[..., 1].numpy().mean()
                for change in (-0.2, 0.2)]
        gradient = gradient_of_clipping(noisy(mean))[..., 1].mean()
        # Averaged over noise, the surrogate is wider than the true derivative by a factor sqrt(2).
        assert gradient == pytest.approx((rise[1] - rise[0]) / 0.4, abs=0.4)
