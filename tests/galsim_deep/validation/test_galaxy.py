"""What is measured on the stamps of one galaxy."""

import dataclasses

import galsim
import numpy as np
import pytest

from galsim_deep.measure.statistics import FLAGS, STATISTICS
from galsim_deep.measure.structure import EDGES
from galsim_deep.validation.galaxy import (
    chi_square_per_pixel,
    light_statistics,
    measure_samples,
)

SCALE = 0.03


def disc(size=48, flux=30.0, half_light_radius=0.25):
    """A profile before the PSF, [size, size]."""
    profile = galsim.Exponential(half_light_radius=half_light_radius, flux=flux)
    return profile.drawImage(
        nx=size, ny=size, scale=SCALE, method="no_pixel", dtype=float).array


@pytest.fixture
def observation(observe):
    """A disc behind a PSF, with hardly any noise."""
    observation = observe(size=48, noise_sigma=1e-3)
    observation.stamp[:] = observation.convolved(galsim.InterpolatedImage(
        galsim.Image(disc(), scale=SCALE)))
    return observation


def test_samples(observation):
    stamps = dict(real=observation.stamp, generated=1.5 * observation.stamp)
    galaxy = measure_samples(
        observation, stamps, dict(offset_x=0.5), dict(generated=stamps["generated"]))
    assert set(galaxy.values) == set(galaxy.flags) == {"real", "generated"}
    for sample in stamps:
        assert set(galaxy.values[sample]) == {statistic.name for statistic in STATISTICS}
        assert set(galaxy.flags[sample]) == set(FLAGS)
        assert not galaxy.flags[sample]["not_detected"]
    # The size does not depend on the flux.
    assert galaxy.values["generated"]["size"] == pytest.approx(
        galaxy.values["real"]["size"], rel=0.02)
    assert set(galaxy.numbers) == {"offset_x", "response_real", "response_generated"}
    assert galaxy.numbers["offset_x"] == 0.5
    assert galaxy.numbers["response_generated"] == pytest.approx(
        galaxy.numbers["response_real"], rel=0.01)
    assert list(galaxy.stamps) == ["generated"]
    assert galaxy.stamps["generated"].dtype == np.float32


def test_noise_that_is_not_known(observation):
    """Nothing can then be detected, and all statistics are NaN."""
    unknown = dataclasses.replace(observation, noise_sigma=np.nan)
    galaxy = measure_samples(unknown, dict(real=unknown.stamp), {}, {})
    assert galaxy.flags["real"]["not_detected"]
    assert np.isnan(list(galaxy.values["real"].values())).all()


def test_chi_square_known_values(observe):
    observation = observe(size=4, noise_sigma=0.5)
    assert chi_square_per_pixel(np.zeros((4, 4)), observation) == 0.0
    assert chi_square_per_pixel(np.full((4, 4), 1.0), observation) == 4.0
    observation.stamp[0, 0] = np.nan
    assert chi_square_per_pixel(np.full((4, 4), 1.0), observation) == 4.0
    observation.stamp[:] = np.nan
    assert np.isnan(chi_square_per_pixel(np.zeros((4, 4)), observation))


def test_chi_square_is_of_the_footprint(observe):
    footprint = np.zeros((4, 4), bool)
    footprint[:2] = True
    observation = observe(size=4, noise_sigma=1.0, footprint=footprint)
    model = np.zeros((4, 4))
    model[0, 0] = model[3, 3] = 2.0
    assert chi_square_per_pixel(model, observation) == pytest.approx(4.0 / 8)


def test_chi_square_of_noise_is_one(observe):
    observation = observe(size=96, noise_sigma=0.2)
    observation.stamp[:] = np.random.default_rng(1).normal(0, 0.2, (96, 96))
    assert chi_square_per_pixel(np.zeros((96, 96)), observation) == pytest.approx(1.0, abs=0.05)


POINT = np.zeros((3, 3))
POINT[1, 1] = 1.0


@pytest.mark.parametrize("name", ["generated", "noiseless"])
def test_light_statistics(name):
    numbers = light_statistics(disc(), SCALE, POINT, name)
    assert set(numbers) == {f"{part}_{name}" for part in ("peak", "power", "sersic_failed")}
    assert numbers[f"sersic_failed_{name}"] == 0.0
    assert numbers[f"power_{name}"].shape == (len(EDGES) - 1,)
    brighter = light_statistics(10 * disc(), SCALE, POINT, name)
    assert brighter[f"peak_{name}"] == pytest.approx(10 * numbers[f"peak_{name}"])
    # A profile with knots has more power on small scales than its smooth part.
    knotty = disc()
    knotty[16:32:4, 16:32:4] *= 3
    assert np.all(light_statistics(knotty, SCALE, POINT, name)[f"power_{name}"]
                  > numbers[f"power_{name}"])


def test_a_profile_that_cannot_be_fitted():
    numbers = light_statistics(np.zeros((32, 32)), SCALE, POINT, "noiseless")
    assert numbers["sersic_failed_noiseless"] == 1.0
    assert np.isnan(numbers["power_noiseless"]).all()
