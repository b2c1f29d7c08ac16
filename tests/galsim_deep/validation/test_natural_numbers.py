"""What is measured at natural size: a smooth galaxy, a knotty one, and nothing."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.structure_map import ANGLES, RADII
from galsim_deep.validation.natural_numbers import SURVEYS, natural_numbers


@pytest.fixture(scope="module")
def observation(observe):
    return observe(size=128, noise_sigma=0.003, extent=45.0, zero_point=25.94)


def stamp_of(observation, knots):
    disc = galsim.Exponential(half_light_radius=0.3, flux=60.0 - 2 * knots)
    # They are four times the width of the PSF from each other.
    places = 0.5 * np.array([(np.cos(angle), np.sin(angle)) for angle in np.arange(knots)])
    parts = [galsim.Gaussian(sigma=0.03, flux=2.0).shift(*place) for place in places]
    return observation.drawn_like(
        observation.convolved(galsim.Add([disc, *parts])), np.random.default_rng(1))


def test_a_smooth_galaxy(observation):
    numbers = natural_numbers(observation, stamp_of(observation, 0), seed=1)
    assert numbers["sersic_n"] == pytest.approx(1, abs=0.05)
    assert numbers["sersic_radius"] == pytest.approx(0.3, rel=0.03)
    assert numbers["ring"] == pytest.approx(0.039, abs=0.01)
    assert [numbers[f"found_{name}"] for name in ("hst", "euclid", "rubin")] == [1, 1, 1]
    assert numbers["shredded_hst"] == 0
    assert numbers["map_noise"] > 0.4  # its structure is noise


def test_a_galaxy_of_knots(observation):
    smooth, knotty = (natural_numbers(observation, stamp_of(observation, knots), seed=1)
                      for knots in (0, 6))
    assert (knotty["power"][1:] > smooth["power"][1:] + 5e-5).all()
    assert np.isnan(knotty["power"][0])  # the PSF is too wide
    assert knotty["shredded_hst"] == 1 and knotty["found_hst"] >= 4
    assert knotty["found_rubin"] == 1
    assert knotty["map_noise"] < 0.3


def test_the_seed_decides(observation):
    stamp = stamp_of(observation, 3)
    once, again, other = (natural_numbers(observation, stamp, seed) for seed in (1, 1, 2))
    for name, value in once.items():
        np.testing.assert_array_equal(again[name], value)
    assert once["slope_rubin"] != other["slope_rubin"]
    # Noise of the seed is only in what a survey sees.
    np.testing.assert_array_equal(once["power"], other["power"])


def test_nothing_to_measure(observation):
    """The same numbers, of the same shapes, whatever the stamp is."""
    expected = natural_numbers(observation, stamp_of(observation, 0), seed=1)
    for stamp in (np.full((128, 128), np.nan), np.zeros((128, 128))):
        numbers = natural_numbers(observation, stamp, seed=1)
        assert numbers.keys() == expected.keys()
        assert {name: np.shape(value) for name, value in numbers.items()} == {
            name: np.shape(value) for name, value in expected.items()}
        assert np.isnan(numbers["sersic_n"]) and np.isnan(numbers["power"]).all()
    assert np.shape(expected["map"]) == (len(RADII) * ANGLES,)


def test_a_zero_point_that_is_not_known(observe):
    observation = observe(size=128, noise_sigma=0.003, extent=45.0)
    numbers = natural_numbers(observation, stamp_of(observation, 0), seed=1)
    for survey in SURVEYS:
        assert np.isnan([numbers[f"{name}_{survey.name}"] for name in ("found", "slope")]).all()
    assert numbers["found_hst"] == 1
