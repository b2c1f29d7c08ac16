"""Checks of a profile by itself, on images whose values are known."""

import galsim
import numpy as np
import pytest
from scipy import special

from galsim_deep.validation.profile_checks import RING, check_profile, subpixel_changes

_NAMES = ("negative", "edge_flux", "ring_flux", "offset_x", "offset_y", "e1", "e2")


def draw(profile, size=64):
    return profile.drawImage(nx=size, ny=size, scale=1.0, method="no_pixel", dtype=float).array


@pytest.mark.parametrize("size", [41, 64])
def test_a_uniform_stamp(size):
    found = check_profile(np.full((size, size), 2.5))
    assert found.pop("edge_flux") == pytest.approx(1 - (1 - 2 / size) ** 2)
    assert found.pop("ring_flux") == pytest.approx(1 - (1 - 2 * RING / size) ** 2)
    assert found == pytest.approx(dict.fromkeys(found, 0.0), abs=1e-9)


def test_the_ring_of_a_gaussian():
    """Light outside of a square, by error functions."""
    found = check_profile(draw(galsim.Gaussian(sigma=12)))

    def inside(half_width):
        return special.erf(half_width / (np.sqrt(2) * 12)) ** 2

    assert found["ring_flux"] == pytest.approx(1 - inside(28) / inside(32), rel=0.01)
    assert found["edge_flux"] == pytest.approx(1 - inside(31) / inside(32), rel=0.01)


def test_the_ring_is_on_every_side():
    for row, column in [(0, 20), (63, 20), (20, 0), (20, 63)]:
        stamp = draw(galsim.Gaussian(sigma=4))
        stamp /= stamp.sum()
        stamp[row, column] += 1.0
        found = check_profile(stamp)
        assert found["edge_flux"] == pytest.approx(0.5)
        assert found["ring_flux"] == pytest.approx(0.5)
    inner = np.zeros((64, 64))
    inner[RING, 20] = inner[RING - 1, 20] = inner[30, 30] = 1.0
    assert check_profile(inner)["ring_flux"] == pytest.approx(1 / 3)
    assert check_profile(inner)["edge_flux"] == pytest.approx(0.0)


def test_the_centroid_is_from_the_true_centre():
    found = check_profile(draw(galsim.Gaussian(sigma=4, flux=7.0).shift(1.5, -2.25)))
    assert (found["offset_x"], found["offset_y"]) == pytest.approx((1.5, -2.25), abs=1e-6)


@pytest.mark.parametrize("g1, g2", [(0.3, 0.0), (0.0, -0.2), (-0.1, 0.25)])
def test_the_ellipticity_of_a_gaussian(g1, g2):
    """A shear g has the distortion 2 g / (1 + g^2), wherever the galaxy is."""
    profile = galsim.Gaussian(sigma=4).shear(g1=g1, g2=g2).shift(1.0, 2.0)
    found = check_profile(draw(profile))
    scale = 2 / (1 + g1**2 + g2**2)
    assert (found["e1"], found["e2"]) == pytest.approx((g1 * scale, g2 * scale), abs=1e-4)


def test_negative_pixels_are_counted():
    stamp = draw(galsim.Gaussian(sigma=4))
    stamp[3, 4:9] = -1e-6
    stamp[5, 5] = 0.0
    assert check_profile(stamp)["negative"] == 5
    assert check_profile(np.abs(stamp))["negative"] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_pixels_that_are_not_finite(value):
    stamp = draw(galsim.Gaussian(sigma=4))
    stamp[2, 2:5] = value
    found = check_profile(stamp)
    assert found.pop("not_finite") == 3
    assert tuple(found) == _NAMES
    assert np.isnan(list(found.values())).all()


@pytest.mark.parametrize("stamp", [np.zeros((32, 32)), -np.ones((32, 32))])
@pytest.mark.filterwarnings("error")
def test_a_stamp_without_light(stamp):
    found = check_profile(stamp)
    assert found.pop("not_finite") == 0
    assert np.isnan(list(found.values())).all()


@pytest.mark.filterwarnings("error")
def test_a_stamp_of_one_pixel_has_no_ellipticity():
    stamp = np.zeros((33, 33))
    stamp[20, 10] = 3.0
    found = check_profile(stamp)
    assert (found["offset_x"], found["offset_y"]) == (-6.0, 4.0)
    assert np.isnan(found["e1"]) and np.isnan(found["e2"])


def test_checks_do_not_depend_on_units_and_leave_the_stamp_alone():
    stamp = draw(galsim.Exponential(half_light_radius=5).shear(g1=0.2).shift(1, 0)).astype("f4")
    before = stamp.copy()
    found = check_profile(stamp)
    np.testing.assert_array_equal(stamp, before)
    assert check_profile(4096 * stamp) == pytest.approx(found, rel=1e-12)


# ---- where in a pixel a profile falls -------------------------------------------------------


@pytest.mark.parametrize("profile", [
    galsim.Gaussian(sigma=0.15), galsim.Exponential(half_light_radius=0.3).shear(g1=0.3, g2=0.1)])
def test_a_well_sampled_profile_does_not_change(observe, profile):
    found = subpixel_changes(profile, observe(size=128))
    assert set(found) == {"size", "flux", "g"}
    assert all(0 <= change < 2e-4 for change in found.values()), found


def test_a_profile_on_a_pixel_of_its_own_grid_does_not_change(observe):
    stamp = draw(galsim.Exponential(half_light_radius=8).shear(g2=0.2))
    profile = galsim.InterpolatedImage(galsim.Image(stamp, scale=0.03))
    found = subpixel_changes(profile, observe(size=128))
    assert all(0 <= change < 1e-3 for change in found.values()), found


def test_a_badly_sampled_profile_changes(observe):
    """A PSF and a galaxy much narrower than a pixel."""
    found = subpixel_changes(galsim.Gaussian(sigma=0.01), observe(size=64, psf_sigma=0.7))
    assert found["size"] > 0.05 and found["g"] > 0.05


def test_a_profile_without_moments(observe):
    found = subpixel_changes(galsim.Gaussian(sigma=0.006), observe(size=64, psf_sigma=0.4))
    assert set(found) == {"size", "flux", "g"}
    assert np.isnan(list(found.values())).all()
