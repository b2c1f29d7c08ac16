"""Noise of the level and correlation asked for, and drawing through the PSF."""

import galsim
import numpy as np
import pytest
from scipy import signal

# White noise smoothed by this has a correlation of 2/3, 1/6 and 0 at lags of one, two and three.
_SMOOTHING = np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0]) / 6
_CORRELATION = signal.convolve2d(_SMOOTHING, _SMOOTHING)


def fields(observation, count=200):
    rng = np.random.default_rng(4)
    return np.array([observation.noise(rng) for _ in range(count)])


def test_the_correlation_of_these_tests():
    np.testing.assert_allclose(_CORRELATION[2, 2:], [1, 2 / 3, 1 / 6])


@pytest.mark.parametrize("correlation, lags", [
    (None, [0, 0, 0, 0]), (_CORRELATION, [2 / 3, 1 / 6, 0, 4 / 9])])
def test_noise_has_the_variance_and_correlation_asked_for(observe, correlation, lags):
    noise = fields(observe(size=40, noise_sigma=3.0, noise_correlation=correlation))
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert (noise**2).mean() == pytest.approx(9.0, rel=0.02)
    for axis in (1, 2):
        moved = np.moveaxis(noise, axis, 0)
        for lag, expected in zip((1, 2, 3), lags[:3], strict=True):
            found = (moved[lag:] * moved[:-lag]).mean() / 9
            assert found == pytest.approx(expected, abs=0.02)
    diagonal = (noise[:, 1:, 1:] * noise[:, :-1, :-1]).mean() / 9
    assert diagonal == pytest.approx(lags[3], abs=0.02)


def test_noise_has_the_same_variance_everywhere(observe):
    noise = fields(observe(size=24, noise_correlation=_CORRELATION, noise_sigma=1.0), 2000)
    # Means of 2000 squares: errors of sqrt(2 / 2000) = 0.03, and 576 of them.
    np.testing.assert_allclose((noise**2).mean(axis=0), 1.0, atol=0.15)


def test_opposite_edges_are_independent(observe):
    noise = fields(observe(size=40, noise_sigma=1.0, noise_correlation=_CORRELATION), 500)
    # 500 rows of 40 pixels, of which some 10 are independent: an error of 0.014.
    assert (noise[:, 0] * noise[:, -1]).mean() == pytest.approx(0, abs=0.06)
    assert (noise[:, :, 0] * noise[:, :, -1]).mean() == pytest.approx(0, abs=0.06)


def test_noise_is_that_of_the_generator(observe):
    observation = observe(noise_correlation=_CORRELATION)
    first, again, other = (observation.noise(np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_a_correlation_that_was_cut_off_still_gives_the_variance(observe):
    """A top hat has negative power at some wavelengths."""
    noise = fields(observe(size=40, noise_sigma=2.0, noise_correlation=np.ones((3, 3))))
    assert np.isfinite(noise).all()
    assert (noise**2).mean() == pytest.approx(4.0, rel=0.03)


def test_smoothed_sigma_of_white_noise_is_the_norm_of_the_kernel(observe):
    kernel = np.array([[0.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    assert observe(noise_sigma=3.0).smoothed_sigma(kernel) == pytest.approx(3 * np.sqrt(5))


def test_smoothed_sigma_of_correlated_noise_is_that_of_both_kernels(observe):
    observation = observe(noise_sigma=3.0, noise_correlation=_CORRELATION)
    both = signal.convolve2d(observation.psf, _SMOOTHING)
    expected = 3 * np.sqrt((both**2).sum())
    assert observation.smoothed_sigma(observation.psf) == pytest.approx(expected, rel=1e-6)
    assert expected > 1.2 * 3 * np.sqrt((observation.psf**2).sum())


@pytest.mark.parametrize("correlation", [None, _CORRELATION])
def test_smoothed_sigma_is_that_of_smoothed_noise(observe, correlation):
    observation = observe(size=96, noise_sigma=2.0, noise_correlation=correlation)
    smooth = np.array([signal.fftconvolve(field, observation.psf, mode="valid")
                       for field in fields(observation, 120)])
    assert smooth.std() == pytest.approx(observation.smoothed_sigma(observation.psf), rel=0.03)


@pytest.mark.parametrize("galaxy", [
    galsim.Exponential(half_light_radius=0.3).shear(g1=0.2, g2=0.1),
    galsim.Gaussian(sigma=0.2, flux=40.0).shift(0.1, 0.05),
    galsim.Exponential(half_light_radius=0.12)])
def test_convolved_is_what_galsim_draws(observe, galaxy):
    psf = galsim.Moffat(beta=3, fwhm=0.1).shear(g1=0.1, g2=0.03)
    image = psf.drawImage(nx=65, ny=65, scale=0.03, method="no_pixel", dtype=float).array
    observation = observe(size=128)
    object.__setattr__(observation, "psf", image / image.sum())
    expected = galsim.Convolve(galaxy, psf).drawImage(
        nx=128, ny=128, scale=0.03, method="no_pixel", dtype=float).array
    found = observation.convolved(galaxy)
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.max())
    assert found.sum() == pytest.approx(expected.sum(), rel=1e-3)


def test_convolved_fills_the_stamp_with_rows_as_y(observe):
    observation = observe(size=60, pixel_scale=0.05)
    image = observation.convolved(galsim.Gaussian(sigma=0.2).shift(0.5, -0.25))
    assert image.shape == (60, 60)
    y, x = np.indices(image.shape) - 29.5
    assert (x * image).sum() / image.sum() == pytest.approx(10, abs=0.01)
    assert (y * image).sum() / image.sum() == pytest.approx(-5, abs=0.01)


def test_drawn_where_the_galaxy_is(observe):
    galaxy = galsim.Gaussian(sigma=0.1)
    image = observe(size=64, offset=(3.25, -2.0)).convolved(galaxy)
    y, x = np.indices(image.shape) - 31.5
    assert (x * image).sum() / image.sum() == pytest.approx(3.25, abs=0.01)
    assert (y * image).sum() / image.sum() == pytest.approx(-2.0, abs=0.01)


def test_noise_of_photons(observe):
    """The variance grows with the light, and the correlation stays that of the noise."""
    correlation = np.array([[0, 0.2, 0], [0.4, 1, 0.4], [0, 0.2, 0]])
    observation = observe(size=64, noise_sigma=0.1, noise_correlation=correlation,
                          photon_variance=0.5)
    model = np.zeros((64, 64))
    model[:, 32:] = 2.0
    noise = np.array([observation.drawn_like(model, np.random.default_rng(seed)) - model
                      for seed in range(30)])
    assert noise[:, :, :30].var() == pytest.approx(0.01, rel=0.05)
    assert noise[:, :, 34:].var() == pytest.approx(0.01 + 0.5 * 2.0, rel=0.05)
    right = noise[:, :, 34:]
    assert (right[:, :, 1:] * right[:, :, :-1]).mean() / right.var() == pytest.approx(
        0.4, abs=0.03)


def test_what_is_filled_in_is_not_known(observe):
    usable, footprint = np.ones((2, 64, 64), bool)
    usable[10:14, 20:24] = footprint[:, :5] = False
    observation = observe(size=64, usable=usable, footprint=footprint)
    model = np.ones((64, 64))
    drawn = observation.drawn_like(model, np.random.default_rng(1))
    assert drawn[10:14, 20:24] == pytest.approx(1, abs=0.01)  # as on the other side
    assert np.isnan(observation.known(drawn)).sum() == 16 + 5 * 64
