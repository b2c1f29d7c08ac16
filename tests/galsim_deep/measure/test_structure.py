"""Small-scale structure: spectra with known values, peaks on and between pixels, ratios."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.structure import (
    EDGES,
    aperture,
    observed_power,
    peak_surface_brightness,
    ratio_of_medians,
    small_scale_power,
)

_SCALE = 0.03


def ripple(wavelength, size=128, angle=0.4):
    """A wave [arcsec] within a Gaussian window that is well inside the stamp."""
    y, x = _SCALE * (np.indices((size, size)) - size // 2)
    along = np.cos(angle) * x + np.sin(angle) * y
    return np.cos(2 * np.pi * along / wavelength) * np.exp(-0.5 * (x**2 + y**2) / 0.5**2)


@pytest.mark.parametrize("number", range(4))
def test_a_wave_is_in_its_bin(number):
    wavelength = np.sqrt(EDGES[number] * EDGES[number + 1])
    power = small_scale_power(ripple(wavelength), 1.0, _SCALE)
    assert power.argmax() == number
    assert power[number] > 20 * np.delete(power, number).max()


def test_parseval():
    residual = np.random.default_rng(1).standard_normal((96, 96))
    residual -= residual.mean()
    # All modes but the mean, whose power is 0: their mean is N^2 / (N^2 - 1) times the sum.
    power = small_scale_power(residual, 2.0, _SCALE, [0.01, 1e9])
    modes = residual.size
    assert power == pytest.approx([(residual**2).sum() / 4 * modes / (modes - 1)], rel=1e-9)


def test_point_sources():
    residual = np.zeros((64, 64))
    residual[20, 31] = 0.3
    np.testing.assert_allclose(small_scale_power(residual, 6.0, _SCALE), 0.05**2, rtol=1e-9)
    rng = np.random.default_rng(2)
    power = []
    for _ in range(200):
        residual = np.zeros((64, 64))
        np.add.at(residual, tuple(rng.integers(64, size=(2, 30))), 0.3)
        power.append(small_scale_power(residual, 6.0, _SCALE))
    np.testing.assert_allclose(np.mean(power, 0), 30 * 0.05**2, rtol=0.1)


def test_size_of_the_stamp_and_of_the_pixel():
    """A clump of 0.05" that is drawn on more pixels, or on smaller ones."""
    clump = galsim.Gaussian(sigma=0.05, flux=0.2).shear(g1=0.3)

    def power(size, scale):
        image = clump.drawImage(nx=size, ny=size, scale=scale, method="no_pixel", dtype=float)
        return small_scale_power(image.array, 1.0, scale)

    # The modes are other ones, and the spectrum falls steeply within a bin of few modes.
    np.testing.assert_allclose(power(256, _SCALE), power(128, _SCALE), rtol=0.05)
    np.testing.assert_allclose(power(256, _SCALE / 2), power(128, _SCALE), rtol=0.01)


def test_flux():
    residual = ripple(0.2)
    one = small_scale_power(residual, 5.0, _SCALE)
    np.testing.assert_allclose(small_scale_power(7 * residual, 5.0, _SCALE), 49 * one)
    np.testing.assert_allclose(small_scale_power(7 * residual, 35.0, _SCALE), one)


def test_nothing_to_measure():
    residual = ripple(0.2)
    assert np.isnan(small_scale_power(residual * np.nan, 1.0, _SCALE)).all()
    assert np.isnan(small_scale_power(residual, 0.0, _SCALE)).all()
    assert np.isnan(small_scale_power(residual, np.nan, _SCALE)).all()
    assert np.isnan(small_scale_power(residual, 1.0, _SCALE, [0.01, 0.02, 0.5])[0])
    assert np.isnan(peak_surface_brightness(residual * np.nan, _SCALE))


def test_peak_of_a_flat_profile():
    profile = np.zeros((32, 32))
    profile[10:20, 10:20] = 0.7
    assert peak_surface_brightness(profile, _SCALE) == pytest.approx(0.7 / _SCALE**2)


def test_peak_does_not_depend_on_the_place_within_a_pixel():
    def smooth(x, y):
        return galsim.Gaussian(sigma=1.2 * _SCALE).shift(x * _SCALE, y * _SCALE).drawImage(
            nx=33, ny=33, scale=_SCALE, method="no_pixel", dtype=float).array

    narrow = [np.zeros((9, 9)), np.zeros((9, 9))]
    narrow[0][4, 4] = 1.0
    narrow[1][4:6, 4:6] = 0.25
    assert peak_surface_brightness(narrow[0], _SCALE) == pytest.approx(
        peak_surface_brightness(narrow[1], _SCALE))
    peaks = [peak_surface_brightness(smooth(x, y), _SCALE) for x, y in ((0, 0), (0.5, 0.5))]
    assert peaks[0] == pytest.approx(peaks[1], rel=0.15)


def sample(groups, bands=3, seed=3):
    """Galaxies whose values are much alike within a group."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(groups), 10)
    values = np.exp(rng.normal(size=(groups, bands))[number]
                    + 0.05 * rng.normal(size=(len(number), bands)))
    return values, number


def test_ratio():
    values, groups = sample(40)
    ratio, error = ratio_of_medians(values, values, groups, seed=1)
    np.testing.assert_allclose(ratio, 1)
    np.testing.assert_allclose(error, 0, atol=1e-12)
    ratio, error = ratio_of_medians(2 * values[:, 0], values[:, 0], groups, seed=1)
    assert ratio == pytest.approx(2)
    assert error == pytest.approx(0, abs=1e-12)


@pytest.mark.long
def test_error_of_the_ratio():
    """Ratios of independent samples scatter as much as the bootstrap says; less for more groups."""
    def measured(groups, seed):
        values, number = sample(groups, 1, seed)
        return ratio_of_medians(values, sample(groups, 1, seed + 500)[0], number, seed, 100)

    few, many = (np.array([measured(groups, seed) for seed in range(60)])[..., 0]
                 for groups in (20, 80))
    assert np.median(many[:, 1]) < 0.7 * np.median(few[:, 1])
    assert 0.6 < np.median(many[:, 1]) / many[:, 0].std() < 1.6


def test_unknown_values_are_left_out_of_both():
    values, groups = sample(40)
    expected = ratio_of_medians(2 * values[50:], values[50:], groups[50:], seed=1)
    top, bottom = 2 * values, values.copy()
    top[:20], bottom[20:50] = np.nan, np.inf
    np.testing.assert_allclose(ratio_of_medians(top, bottom, groups, seed=1), expected)
    top[:, 1] = np.nan
    ratio, error = ratio_of_medians(top, bottom, groups, seed=1)
    np.testing.assert_array_equal(np.isnan(ratio), [False, True, False])
    assert np.isnan(ratio_of_medians(values, values, 0 * groups, seed=1)[1]).all()


def test_power_of_a_stamp_without_its_noise(observe):
    """The mean over many stamps of noise is that of the structure alone."""
    correlation = np.array([[0.1, 0.3, 0.1], [0.3, 1.0, 0.3], [0.1, 0.3, 0.1]])
    observation = observe(noise_sigma=0.01, noise_correlation=correlation, extent=30.0)
    y, x = np.indices(observation.stamp.shape) - 47.5
    smooth = np.exp(-0.5 * (x**2 + y**2) / 8**2)
    waves = 0.05 * smooth * np.cos(2 * np.pi * x * 0.03 / 0.3)
    clean = observed_power(smooth + waves, smooth, observe(noise_sigma=0.0, extent=30.0))
    powers, rng = [], np.random.default_rng(3)
    for _ in range(60):
        powers.append(observed_power(
            smooth + waves + observation.noise(rng), smooth, observation))
    error = np.std(powers, axis=0) / np.sqrt(60)
    measured = np.mean(powers, axis=0)
    assert clean[2] > 10 * error[2]
    np.testing.assert_array_less(np.abs(measured - clean)[1:], 4 * error[1:])


def test_bins_that_cannot_be_measured(observe):
    stamp = np.random.default_rng(1).normal(size=(96, 96)) + 1
    fine, coarse = observe(), observe(pixel_scale=0.06, psf_sigma=0.7)
    wide = observe(psf_sigma=5.0)
    model = np.ones_like(stamp)
    assert np.isfinite(observed_power(stamp, model, fine)).any()
    assert np.isnan(observed_power(stamp, model, coarse)).tolist() == [True, False, False, False]
    assert np.isnan(observed_power(stamp, model, wide))[:2].all()
    assert np.isnan(observed_power(-stamp, model, fine)).all()


def test_masked_pixels_do_not_count(observe):
    usable = np.ones((96, 96), bool)
    usable[40:44, 50:54] = False
    observation = observe(usable=usable, extent=30.0)
    model = aperture(observation)
    spoilt = np.where(usable, model, 100.0)
    good, bad = (observed_power(stamp, model, observation)[2] for stamp in (model, spoilt))
    assert abs(bad) < 1e-6 and abs(good) < 1e-6


def test_aperture(observe):
    window = aperture(observe(extent=20.0, offset=(5.0, 0.0)))
    assert window[48, 53] == 1 and window[48, 53 + 26] == 0
    assert window[48, 53 + 22] == pytest.approx(0.5, abs=0.2)
