"""Correlated noise against GalSim's, and its power against what is drawn."""

from pathlib import Path

import galsim
import numpy as np
import pytest
from scipy import signal

from galsim_deep.observations.noise import (
    POWER_FLOOR,
    NoiseField,
    periodic_power,
    read_correlation,
    relative_power,
    resampled_correlation,
    resized_correlation,
    smoothed_variance,
    white_correlation,
)


@pytest.fixture(scope="module")
def path():
    return Path(galsim.meta_data.share_dir) / "acs_I_unrot_sci_20_cf.fits"


@pytest.fixture(scope="module")
def acs(path):
    return read_correlation(path)


@pytest.fixture(scope="module")
def oblong():
    """Noise that is correlated along one axis and less along a diagonal, as after smoothing."""
    kernel = np.zeros((9, 9))
    kernel[4, 3:6] = 0.5, 1, 0.5
    kernel[5, 5] = kernel[3, 3] = 0.3
    spectrum = np.abs(np.fft.fft2(kernel, (9, 9)))**2
    correlation = np.fft.fftshift(np.fft.ifft2(spectrum).real)
    return correlation / correlation[4, 4]


def full(power, size):
    """The full plane of half of one."""
    whole = np.empty((size, size))
    whole[:, :size // 2 + 1] = power
    for x in range(size // 2 + 1, size):
        whole[:, x] = power[-np.arange(size) % size, size - x]
    return whole


def test_the_correlation_is_that_of_galsim(path, acs):
    assert acs.shape == (33, 33) and acs[16, 16] == 1
    np.testing.assert_array_equal(acs, acs[::-1, ::-1])
    image = galsim.Image(33, 33, scale=0.03, dtype=float)
    galsim.getCOSMOSNoise(str(path), cosmos_scale=0.03, variance=1.0).drawImage(image)
    np.testing.assert_allclose(acs, image.array, atol=2e-3)


@pytest.mark.parametrize("kind, size", [("acs", 64), ("acs", 20), ("oblong", 31), ("white", 16)])
def test_the_power_is_that_of_what_is_drawn(kind, size, acs, oblong):
    correlation = dict(acs=acs, oblong=oblong, white=white_correlation(5))[kind]
    power = relative_power(correlation, size)
    assert power.shape == (size, size // 2 + 1) and power.dtype == np.float32
    assert power.min() >= 0.999 * POWER_FLOOR
    assert full(power, size).mean() == pytest.approx(1, rel=1e-4)
    rng, field = np.random.default_rng(3), NoiseField(correlation, size)
    count = 3000
    drawn = sum(np.abs(np.fft.rfft2(field.draw(rng)))**2 for _ in range(count)) / count / size**2
    # The power of a Gaussian field scatters by its mean, by 1.4 times that where it is real.
    inside = power > 1.5 * POWER_FLOOR
    np.testing.assert_allclose(drawn[inside], power[inside], rtol=7.5 / np.sqrt(count))
    assert np.mean(drawn[inside] / power[inside]) == pytest.approx(1, abs=0.005)


def test_the_power_is_turned_with_the_correlation(oblong):
    power = full(relative_power(oblong, 16), 16)
    centred = np.roll(power, (8, 8), (0, 1))[1:, 1:]  # the middle is the middle
    for turn in range(1, 4):
        turned = full(relative_power(np.rot90(oblong, turn), 16), 16)
        turned = np.roll(turned, (8, 8), (0, 1))[1:, 1:]
        np.testing.assert_allclose(turned, np.rot90(centred, turn), rtol=1e-4)
    assert not np.allclose(np.rot90(centred), centred, rtol=0.1)


def test_white_noise():
    np.testing.assert_allclose(relative_power(white_correlation(), 24), 1.0, rtol=1e-6)
    drawn = NoiseField(white_correlation(), 24).draw(np.random.default_rng(1))
    assert drawn.shape == (24, 24) and drawn.dtype == np.float32


def test_fields_have_unit_variance_and_the_correlation(acs):
    """Also between opposite edges, which are no neighbours."""
    rng, field = np.random.default_rng(2), NoiseField(acs, 40)
    drawn = np.array([field.draw(rng) for _ in range(1500)])
    assert drawn.shape == (1500, 40, 40)
    assert drawn.var() == pytest.approx(1, rel=0.01)
    for dy, dx in [(0, 1), (1, 0), (1, 1), (2, 0), (0, 5)]:
        found = (drawn[:, dy:, dx:] * drawn[:, :40 - dy, :40 - dx]).mean()
        assert found == pytest.approx(acs[16 + dy, 16 + dx], abs=0.01)
    assert (drawn[:, 0] * drawn[:, -1]).mean() == pytest.approx(0, abs=0.02)
    assert (drawn[:, :, 0] * drawn[:, :, -1]).mean() == pytest.approx(0, abs=0.02)


def test_noise_is_as_galsims(path, acs):
    """The same spread of power as `galsim.CorrelatedNoise` draws."""
    rng = galsim.BaseDeviate(5)
    noise = galsim.getCOSMOSNoise(str(path), rng=rng, cosmos_scale=0.03, variance=1.0)
    power = np.zeros((48, 25))
    for _ in range(400):
        image = galsim.Image(48, 48, scale=0.03, dtype=float)
        image.addNoise(noise)
        power += np.abs(np.fft.rfft2(image.array))**2 / 48**2 / 400
    expected = relative_power(acs, 48)
    k = np.hypot(np.fft.fftfreq(48)[:, None], np.fft.rfftfreq(48))
    for low, high in [(0.02, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5)]:
        ring = (k > low) & (k <= high)
        assert power[ring].mean() == pytest.approx(expected[ring].mean(), rel=0.06)


def test_cutting_and_filling_up(oblong):
    np.testing.assert_allclose(resized_correlation(oblong, 5), oblong[2:7, 2:7], atol=1e-12)
    np.testing.assert_allclose(resized_correlation(oblong, 13)[2:11, 2:11], oblong, atol=1e-12)
    assert resized_correlation(oblong, 13).sum() == pytest.approx(oblong.sum())


def test_the_power_on_a_periodic_field(oblong):
    """It is the transform of the correlation, and its mean is the variance of 1."""
    power = full(periodic_power(oblong, (24, 24)), 24)
    assert power.mean() == pytest.approx(1)
    correlation = np.fft.fftshift(np.fft.ifft2(power).real)
    np.testing.assert_allclose(correlation[8:17, 8:17], oblong, atol=1e-12)


def test_a_top_hat_has_negative_power_which_is_set_to_zero():
    assert periodic_power(np.ones((3, 3)), (30, 30)).min() == 0


@pytest.mark.parametrize("margin, dtype", [(4, np.float32), (9, np.float64)])
def test_stamps_that_are_not_square(oblong, margin, dtype):
    drawn = NoiseField(oblong, (20, 33), margin, dtype).draw(np.random.default_rng(1))
    assert drawn.shape == (20, 33) and drawn.dtype == dtype


@pytest.mark.parametrize("kind", ["acs", "oblong", "white"])
def test_smoothed_variance_is_that_of_smoothed_noise(kind, acs, oblong):
    correlation = dict(acs=acs, oblong=oblong, white=None)[kind]
    kernel = np.outer([1.0, 2.0, 1.0], [0.5, 3.0, 0.5])
    rng, field = np.random.default_rng(4), NoiseField(correlation, 200, dtype=np.float64)
    smooth = np.array([signal.fftconvolve(field.draw(rng), kernel, mode="valid")
                       for _ in range(20)])
    assert smooth.var() == pytest.approx(smoothed_variance(correlation, kernel), rel=0.03)


def test_a_wide_kernel_does_not_wrap_around():
    """The sum over a wide kernel without Fourier transforms."""
    correlation = np.zeros((3, 3))
    correlation[1] = 0.25, 1.0, 0.25
    kernel = np.ones((151, 151))
    # Each pixel with itself, and with its neighbour on either side.
    expected = 151 * (151 + 2 * 0.25 * 150)
    assert smoothed_variance(correlation, kernel) == pytest.approx(expected)


@pytest.mark.parametrize("ratio", [0.618, 1.732])
def test_noise_of_interpolated_images(ratio):
    """Against images of white noise that GalSim interpolates onto other pixels."""
    correlation, variance = resampled_correlation(white_correlation(9), ratio, 9)
    assert correlation.shape == (9, 9) and correlation[4, 4] == 1
    rng, drawn = np.random.default_rng(6), []
    for _ in range(60):
        image = galsim.Image(rng.standard_normal((64, 64)), scale=1.0)
        profile = galsim.InterpolatedImage(image, normalization="sb")
        new = profile.drawImage(nx=24, ny=24, scale=ratio, method="sb", dtype=float)
        drawn.append(new.array)
    drawn = np.array(drawn)
    assert drawn.var() == pytest.approx(variance, rel=0.06)
    neighbours = (drawn[:, :, 1:] * drawn[:, :, :-1]).mean() / drawn.var()
    assert neighbours == pytest.approx(correlation[4, 5], abs=0.03)


@pytest.mark.parametrize("image, message", [
    (np.ones((4, 4)), "shape .4, 4."), (np.ones((3, 5)), "shape"),
    (np.zeros((3, 3)), "maximum"), (np.arange(9.0).reshape(3, 3), "maximum")])
def test_what_is_no_correlation(image, message, tmp_path):
    path = tmp_path / "cf.fits"
    galsim.Image(image).write(str(path))
    with pytest.raises(galsim.GalSimConfigError, match=f"cf.fits.*{message}"):
        read_correlation(path)


def test_no_file(tmp_path):
    with pytest.raises(galsim.GalSimConfigError, match="absent.fits"):
        read_correlation(tmp_path / "absent.fits")
