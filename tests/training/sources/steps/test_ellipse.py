"""steps.ellipse: the ellipse of a galaxy and its profile."""

import galsim
import numpy as np
import pytest
from steps.ellipse import FLATTEST, Ellipse, ellipse_of, profile_of


def disc(q, degrees, shift=(0.0, 0.0), side=101):
    galaxy = galsim.Exponential(half_light_radius=10.0, flux=1000.0).shear(
        q=q, beta=degrees * galsim.degrees).shift(*shift)
    return galaxy.drawImage(nx=side, ny=side, scale=1.0, dtype=float, method="no_pixel").array


@pytest.mark.parametrize("q, degrees", [(0.5, 30.0), (0.8, -60.0)])
def test_ellipse(q, degrees):
    image = disc(q, degrees, shift=(3.0, -2.0))
    ellipse = ellipse_of(image, image > 0.02 * image.max())
    assert (ellipse.x, ellipse.y) == pytest.approx((53.0, 48.0), abs=0.2)
    assert ellipse.q == pytest.approx(q, abs=0.04)
    assert np.degrees(ellipse.angle) == pytest.approx(degrees, abs=2)


def test_a_thin_galaxy_gets_a_thicker_ellipse():
    image = disc(0.1, 0.0)
    assert ellipse_of(image, image > 0.02 * image.max()).q == FLATTEST


def test_the_centre_may_be_given():
    image = disc(0.5, 0.0)
    ellipse = ellipse_of(image, image > 0, centre=(52.0, 50.0))
    assert (ellipse.x, ellipse.y) == (52.0, 50.0)


def test_radius_is_the_semi_major_axis():
    radius = Ellipse(10.0, 10.0, 0.5, np.radians(90)).radius((21, 21))
    assert radius[20, 10] == pytest.approx(10.0)
    assert radius[10, 15] == pytest.approx(10.0)


def test_profile_of_an_exponential_disc():
    image = disc(0.6, 20.0)
    usable = np.ones(image.shape, bool)
    usable[40:60, 60:70] = False
    image = np.where(usable, image, 1e6)
    ellipse = Ellipse(50.0, 50.0, 0.6, np.radians(20))
    profile = profile_of(image, usable, ellipse)
    # The scale length along the major axis: h = r50 / 1.678 / sqrt(q).
    slope = np.polyfit(profile.radius[3:18], np.log(profile.mean[3:18]), 1)[0]
    assert -1 / slope == pytest.approx(10.0 / 1.678 / np.sqrt(0.6), rel=0.01)
    assert 0.8 < profile.share[4:10].mean() < 1.1
    assert profile.share[-1] < 0.2
    assert profile.at(np.array([1e4])) == 0
