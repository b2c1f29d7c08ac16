"""Profiles from stamps: radii with known values, imposed quantities."""

import galsim
import numpy as np
import pytest

from galsim_deep.profiles import make_profile, measured_radius


@pytest.mark.parametrize("radius", [1.2, 1.5, 3.0, 3.9, 4.1, 10.0])
@pytest.mark.parametrize("shift", [(0, 0), (0.4, -0.3)])
def test_measured_radius_of_a_gaussian(radius, shift):
    stamp = galsim.Gaussian(half_light_radius=radius).shift(shift).drawImage(
        nx=128, ny=128, scale=1.0, method="no_pixel").array
    assert measured_radius(stamp) == pytest.approx(radius, rel=0.01)


def test_measured_radius_of_a_disk():
    """A uniform disk of radius R holds half of its light within R / sqrt(2)."""
    y, x = np.indices((128, 128)) - 63.5
    stamp = (np.hypot(x, y) < 20).astype(float)
    assert measured_radius(stamp) == pytest.approx(20 / np.sqrt(2), rel=0.01)


def test_measured_radius_ignores_flux_and_orientation():
    stamp = galsim.Exponential(half_light_radius=6).shear(g1=0.4).shift(2, 1).drawImage(
        nx=128, ny=128, scale=1.0, method="no_pixel").array
    radius = measured_radius(stamp)
    assert measured_radius(7e3 * stamp) == pytest.approx(radius, rel=1e-6)
    assert measured_radius(np.rot90(stamp)) == pytest.approx(radius, rel=1e-6)


@pytest.fixture
def stamp():
    return galsim.Exponential(half_light_radius=5, flux=3.0).shear(g2=0.3).drawImage(
        nx=64, ny=64, scale=1.0, method="no_pixel").array


def test_plain(stamp):
    profile = make_profile(stamp, 0.03)
    assert profile.flux == pytest.approx(stamp.sum(), rel=1e-6)
    assert profile.image.scale == 0.03
    assert profile.centroid.x == pytest.approx(0.0, abs=1e-4)


def test_imposed(stamp):
    profile = make_profile(stamp, 0.03, flux=8.0, half_light_radius=0.6)
    assert profile.flux == pytest.approx(8.0, rel=1e-6)
    assert profile.calculateHLR(size=512, scale=0.02) == pytest.approx(0.6, rel=0.01)


def test_the_stamp_is_not_changed(stamp):
    before = stamp.copy()
    make_profile(stamp, 0.03, flux=8.0, half_light_radius=0.6)
    np.testing.assert_array_equal(stamp, before)
