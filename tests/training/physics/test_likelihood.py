"""The Gaussian likelihood against closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.physics.likelihood import (
    chi_square,
    error_floor_weight,
    fourier_chi_square,
    fourier_log_likelihood,
    pixel_log_likelihood,
)


def batch(seed=0, count=3, size=8):
    rng = np.random.default_rng(seed)
    stamps, models = rng.standard_normal((2, count, size, size)).astype(np.float32)
    return stamps, models, rng.uniform(0.5, 2.0, count).astype(np.float32)


def test_chi_square_of_known_values():
    stamps = np.zeros((3, 2, 2), np.float32)
    models = np.zeros((3, 2, 2), np.float32)
    stamps[1, 0, 1] = 6.0
    models[2] = -1.0
    sigma = np.float32([1.0, 2.0, 0.5])
    np.testing.assert_allclose(chi_square(stamps, models, sigma), [0.0, 9.0, 16.0])


def test_chi_square():
    stamps, models, sigma = batch()
    expected = [np.sum((s - m) ** 2) / e**2 for s, m, e in zip(stamps, models, sigma, strict=True)]
    np.testing.assert_allclose(chi_square(stamps, models, sigma), expected, rtol=1e-5)
    # Symmetric in stamps and models, and independent of the unit of flux.
    np.testing.assert_allclose(chi_square(models, stamps, sigma), expected, rtol=1e-5)
    np.testing.assert_allclose(chi_square(10 * stamps, 10 * models, 10 * sigma), expected,
                               rtol=1e-5)


def test_chi_square_of_noise():
    """Mean and scatter are those of the chi-square distribution."""
    rng = np.random.default_rng(1)
    sigma = np.float32([0.01, 3.0])
    noise = rng.standard_normal((2, 64, 64)).astype(np.float32) * sigma[:, None, None]
    chi = chi_square(noise, np.zeros_like(noise), sigma).numpy()
    assert np.all(np.abs(chi - 64**2) < 5 * np.sqrt(2 * 64**2))


def test_likelihood_is_the_density():
    stamps, models, sigma = batch(2)
    residual, scale = (stamps - models).astype(float), sigma[:, None, None].astype(float)
    density = np.exp(-0.5 * (residual / scale) ** 2) / (np.sqrt(2 * np.pi) * scale)
    expected = np.log(density).sum(axis=(1, 2))
    np.testing.assert_allclose(pixel_log_likelihood(stamps, models, sigma), expected, rtol=1e-5)


def test_likelihood_is_normalised():
    """For one pixel, the integral over its value is one."""
    values = np.linspace(-20, 20, 4001, dtype=np.float32)[:, None, None]
    sigma = np.full(4001, 1.7, np.float32)
    models = np.full_like(values, 0.4)
    density = np.exp(pixel_log_likelihood(values, models, sigma))
    assert density.sum() * 0.01 == pytest.approx(1.0, rel=1e-4)


def test_the_best_noise_level():
    """The likelihood is largest for the true standard deviation."""
    stamps, models, _ = batch(3, count=1, size=32)
    scatter = np.sqrt(np.mean((stamps - models) ** 2))
    levels = (scatter * np.float32([0.8, 0.95, 1.0, 1.05, 1.25])).astype(np.float32)
    log_likelihood = pixel_log_likelihood(
        np.repeat(stamps, 5, axis=0), np.repeat(models, 5, axis=0), levels).numpy()
    assert log_likelihood.argmax() == 2


def test_gradient():
    stamps, models, sigma = batch(4)
    stamps, models, sigma = map(tf.constant, (stamps, models, sigma))
    with tf.GradientTape() as tape:
        tape.watch([models, sigma])
        value = tf.reduce_sum(pixel_log_likelihood(stamps, models, sigma))
    by_model, by_sigma = tape.gradient(value, [models, sigma])
    np.testing.assert_allclose(by_model, (stamps - models) / sigma[:, None, None] ** 2, rtol=1e-4,
                               atol=1e-5)
    expected = chi_square(stamps, models, sigma) / sigma - 64 / sigma
    np.testing.assert_allclose(by_sigma, expected, rtol=1e-4)


def power_spectrum(size, count=1, seed=0):
    """Red noise with some irregularity, mean one over the full plane: full and half planes."""
    rng = np.random.default_rng(seed)
    row, column = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)
    full = np.exp(-8 * np.hypot(row, column)) * rng.uniform(0.5, 2.0, (count, 1, 1))
    # The power of a real field is the same at opposite frequencies.
    bumps = rng.uniform(0.5, 1.5, (count, size, size))
    full = full * (bumps + np.roll(bumps[:, ::-1, ::-1], 1, axis=(1, 2)))
    full /= full.mean(axis=(1, 2), keepdims=True)
    return full, full[:, :, :size // 2 + 1].astype(np.float32)


@pytest.mark.parametrize("size", [7, 8])
def test_fourier_chi_square_of_white_noise(size):
    """Parseval: the sum over pixels."""
    stamps, models, sigma = batch(8, size=size)
    white = np.ones((3, size, size // 2 + 1), np.float32)
    np.testing.assert_allclose(fourier_chi_square(stamps, models, sigma, white),
                               chi_square(stamps, models, sigma), rtol=1e-5)
    np.testing.assert_allclose(fourier_log_likelihood(stamps, models, sigma, white[:1]),
                               pixel_log_likelihood(stamps, models, sigma), rtol=1e-5)


@pytest.mark.parametrize("size", [4, 5])
def test_fourier_likelihood_is_that_of_the_covariance(size):
    """Against the dense covariance of every pixel with every other."""
    stamps, models, sigma = batch(9, size=size)
    full, half = power_spectrum(size, 3)
    for i in range(3):
        correlation = np.fft.ifft2(full[i]).real
        row, column = np.divmod(np.arange(size**2), size)
        covariance = sigma[i] ** 2 * correlation[
            (row[:, None] - row) % size, (column[:, None] - column) % size]
        residual = (stamps - models)[i].ravel().astype(float)
        chi = residual @ np.linalg.solve(covariance, residual)
        expected = -0.5 * chi - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
        arguments = [array[i:i + 1] for array in (stamps, models, sigma, half)]
        np.testing.assert_allclose(fourier_chi_square(*arguments), [chi], rtol=1e-4)
        np.testing.assert_allclose(fourier_log_likelihood(*arguments), [expected], rtol=1e-4)


def test_fourier_chi_square_of_correlated_noise():
    """Mean and scatter are those of the chi-square distribution, unlike those of `chi_square`."""
    full, half = power_spectrum(32)
    rng = np.random.default_rng(1)
    white = rng.standard_normal((50, 32, 32))
    noise = (0.3 * np.fft.ifft2(np.fft.fft2(white) * np.sqrt(full)).real).astype(np.float32)
    sigma, models = np.full(50, 0.3, np.float32), np.zeros_like(noise)
    chi = fourier_chi_square(noise, models, sigma, half).numpy()
    assert np.mean(chi) == pytest.approx(32**2, abs=5 * np.sqrt(2 * 32**2 / 50))
    assert np.std(chi) == pytest.approx(np.sqrt(2 * 32**2), rel=0.5)
    # The power is relative: the variance of a pixel is sigma squared.
    assert noise.std() == pytest.approx(0.3, rel=0.05)
    assert np.std(chi_square(noise, models, sigma)) > 1.5 * np.sqrt(2 * 32**2)


def test_the_best_noise_power():
    """The likelihood is largest for the true power spectrum."""
    full, half = power_spectrum(32)
    white = np.random.default_rng(2).standard_normal((20, 32, 32))
    noise = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(full)).real.astype(np.float32)
    log_likelihood = [np.mean(fourier_log_likelihood(
        noise, np.zeros_like(noise), np.ones(20, np.float32), half**exponent))
        for exponent in (0.0, 0.7, 1.0, 1.3)]
    assert np.argmax(log_likelihood) == 2


def test_gradient_in_fourier_space():
    stamps, models, sigma = map(tf.constant, batch(4))
    half = power_spectrum(8, 3)[1]
    with tf.GradientTape() as tape:
        tape.watch([models, sigma])
        value = tf.reduce_sum(fourier_log_likelihood(stamps, models, sigma, half))
    by_model, by_sigma = tape.gradient(value, [models, sigma])
    filtered = np.fft.irfft2(np.fft.rfft2(stamps - models) / half, s=(8, 8))
    np.testing.assert_allclose(by_model, filtered / sigma[:, None, None] ** 2, rtol=1e-3, atol=1e-4)
    expected = fourier_chi_square(stamps, models, sigma, half) / sigma - 64 / sigma
    np.testing.assert_allclose(by_sigma, expected, rtol=1e-4)
    # Perfect models have a gradient of zero, not NaN.
    with tf.GradientTape() as tape:
        tape.watch(stamps)
        value = tf.reduce_sum(fourier_chi_square(stamps, stamps, sigma, half))
    np.testing.assert_array_equal(tape.gradient(value, stamps), tf.zeros_like(stamps))


def weight(stamps, sigma=1.0, radius=2.0, fraction=0.05):
    stamps = np.asarray(stamps, np.float32)
    count = len(stamps)
    return error_floor_weight(
        stamps, tf.fill([count], np.float32(sigma)), tf.fill([count], np.float32(radius)),
        fraction).numpy()


def test_weight_of_faint_galaxies():
    """One for empty stamps, and nearly one for light far below the noise."""
    assert weight(np.zeros((1, 16, 16))) == 1.0
    faint = 0.3 * np.random.default_rng(5).random((20, 64, 64))
    assert np.all(weight(faint, radius=5.0) > 0.99)
    assert np.all(weight(faint, radius=5.0) < 1.0)


def test_weight_without_a_floor():
    bright = 1e3 * np.ones((2, 16, 16))
    np.testing.assert_array_equal(weight(bright, fraction=0.0), [1.0, 1.0])


def test_weight_of_bright_galaxies():
    """Far above the floor, the weight is area / (fraction^2 * sum of squared S/N)."""
    rng = np.random.default_rng(6)
    shape = rng.random((3, 16, 16))
    expected = np.pi * 9.0**2 / (0.05**2 * np.sum((2e5 * shape) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(
        weight(1e5 * shape, sigma=0.5, radius=3.0, fraction=0.05), expected, rtol=1e-3)


def test_weight_of_a_known_value():
    """Sum of squared S/N 100."""
    stamp = np.zeros((1, 16, 16))
    stamp[0, 4, 4:8] = np.sqrt(100 / 4)
    expected = 1 / (1 + 0.2**2 * 100 / (np.pi * 36))
    np.testing.assert_allclose(weight(stamp, radius=2.0, fraction=0.2), expected, rtol=1e-5)


def test_weight_falls_with_brightness_and_rises_with_size():
    shape = np.random.default_rng(7).random((1, 16, 16))
    weights = [weight(flux * shape)[0] for flux in (1.0, 10.0, 100.0, 1000.0)]
    assert weights == sorted(weights, reverse=True) and len(set(weights)) == 4
    weights = [weight(100 * shape, radius=radius)[0] for radius in (1.0, 2.0, 4.0)]
    assert weights == sorted(weights) and len(set(weights)) == 3
    # It depends on the signal-to-noise ratio, not on the unit of flux.
    np.testing.assert_allclose(weight(100 * shape, sigma=100.0), weight(shape), rtol=1e-5)
