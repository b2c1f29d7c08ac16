"""The light far out: known shares of profiles, and what cannot be known."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.outer_light import outer_light


def drawn(observe, n, extent, **kwargs):
    observation = observe(size=400, psf_sigma=0.5, extent=extent, **kwargs)
    profile = galsim.Sersic(n, half_light_radius=10 * 0.03)
    return profile.drawImage(nx=400, ny=400, scale=0.03, dtype=float,
                             offset=observation.offset).array, observation


def test_shares_of_profiles(observe):
    """An exponential disc has 3.9 % at 2.5 to 3 radii; a steep profile more, and far out too."""
    disc = outer_light(*drawn(observe, 1.0, 190.0))
    assert disc["half_light"] == pytest.approx(10, rel=0.01)
    assert disc["ring"] == pytest.approx(0.0391, abs=0.001)
    assert disc["wings"] == pytest.approx(0.0095, abs=0.001)
    steep = outer_light(*drawn(observe, 3.0, 190.0))
    assert steep["ring"] > disc["ring"] and steep["wings"] > 5 * disc["wings"]


def test_about_the_position_of_the_galaxy(observe):
    here, there = (outer_light(*drawn(observe, 1.0, 150.0, offset=offset))
                   for offset in ((0.0, 0.0), (12.3, -7.0)))
    assert there == pytest.approx(here, rel=0.01)


def test_what_is_beyond_the_extent_is_not_known(observe):
    stamp, observation = drawn(observe, 1.0, 35.0)
    light = outer_light(stamp, observation)
    assert np.isfinite(light["ring"]) and np.isnan(light["wings"])
    stamp, observation = drawn(observe, 1.0, 20.0)
    assert np.isnan(outer_light(stamp, observation)["ring"])
    assert all(np.isnan(value) for value in outer_light(0 * stamp, observation).values())
