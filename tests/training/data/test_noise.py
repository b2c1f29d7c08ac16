"""Correlated noise against GalSim's, and its power against what is drawn."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.data.noise import (
    POWER_FLOOR,
    NoiseField,
    middle_of,
    read_correlation,
    relative_power,
    white,
)


@pytest.fixture(scope="module")
def path(survey):
    return survey / "acs_I_unrot_sci_20_cf.fits"


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
    correlation = dict(acs=acs, oblong=oblong, white=white(5))[kind]
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
    np.testing.assert_allclose(relative_power(white(), 24), 1.0, rtol=1e-6)
    drawn = NoiseField(white(), 24).draw(np.random.default_rng(1))
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
    np.testing.assert_allclose(middle_of(oblong, 5), oblong[2:7, 2:7], atol=1e-12)
    np.testing.assert_allclose(middle_of(oblong, 13)[2:11, 2:11], oblong, atol=1e-12)
    assert middle_of(oblong, 13).sum() == pytest.approx(oblong.sum())


@pytest.mark.parametrize("image, message", [
    (np.ones((4, 4)), "shape .4, 4."), (np.ones((3, 5)), "shape"),
    (np.zeros((3, 3)), "maximum"), (np.arange(9.0).reshape(3, 3), "maximum")])
def test_what_is_no_correlation(image, message, tmp_path):
    path = tmp_path / "cf.fits"
    galsim.Image(image).write(str(path))
    with pytest.raises(galsim.GalSimConfigError, match=f"cf.fits.*{message}"):
        read_correlation(path)


def test_no_file(tmp_path):
    with pytest.raises(galsim.GalSimConfigError, match="absent.fits cannot be read"):
        read_correlation(tmp_path / "absent.fits")
