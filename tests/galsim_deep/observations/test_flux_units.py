"""The conversion between the flux units of stamps and of a module."""

import dataclasses

import numpy as np
import pytest

from galsim_deep.observations.flux_units import FluxUnits


def test_the_gain_is_that_of_the_zero_points():
    """At a fainter zero point a unit of flux is less, so a galaxy has more of them."""
    assert FluxUnits.between(28.5, 26.0).gain == pytest.approx(10.0)
    assert FluxUnits.between(26.0, 26.0).gain == 1.0
    assert FluxUnits.between(None, 26.0).gain == 1.0


def test_an_observation_in_units_of_the_module(observe):
    noiseless = np.full((8, 8), 3.0)
    observation = dataclasses.replace(
        observe(size=8, noise_sigma=2.0, noiseless=noiseless), stamp=np.full((8, 8), 10.0))
    converted = FluxUnits(10.0).to_module(observation)
    assert (converted.stamp == 1.0).all() and converted.noise_sigma == 0.2
    np.testing.assert_allclose(converted.noiseless, 0.3)
    np.testing.assert_array_equal(converted.psf, observation.psf)
    other = FluxUnits(10.0).to_module(observation, np.full((8, 8), 5.0))
    assert (other.stamp == 0.5).all() and (observation.stamp == 10.0).all()


def test_there_and_back():
    image = np.random.default_rng(1).normal(size=(4, 4))
    units = FluxUnits(3.0)
    np.testing.assert_allclose(units.image_to_stamps(units.image_to_module(image)), image)
