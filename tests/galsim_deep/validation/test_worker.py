"""One galaxy measured: all samples, and galaxies that cannot be measured."""

import dataclasses

import galsim
import numpy as np
import pytest

from galsim_deep.observations.flux_units import FluxUnits
from galsim_deep.validation.galaxy import SAMPLES
from galsim_deep.validation.measure_generated import Task
from galsim_deep.validation.random_streams import RandomStreams
from galsim_deep.validation.worker import measure_galaxy, single_threaded


@pytest.fixture
def task(observe, card):
    disc = galsim.Exponential(half_light_radius=0.2, flux=20.0).shear(g1=0.2)
    profile = disc.drawImage(nx=64, ny=64, scale=0.03, method="no_pixel", dtype=float).array
    observation = observe(size=64, noise_sigma=0.002)
    noiseless = observation.convolved(disc)
    stamp = observation.drawn_like(noiseless, np.random.default_rng(1))
    return Task(observation=dataclasses.replace(observation, stamp=stamp, noiseless=noiseless),
                generated=profile.astype(np.float32), reconstructed=None, card=card,
                pixel_scale=0.03, units=FluxUnits(), streams=RandomStreams(1), keep_stamps=True)


def test_all_samples_are_measured(task):
    measurements = measure_galaxy(task)
    assert set(measurements.values) == set(measurements.flags) == set(SAMPLES)
    assert {"real", "noiseless", "generated", "profile", "parametric", "model_parametric"} == set(
        measurements.stamps)
    assert {"power_noiseless", "power_generated", "chi2_parametric", "response_generated"} < set(
        measurements.numbers)
    sizes = [measurements.values[sample]["size"] for sample in SAMPLES]
    np.testing.assert_allclose(sizes, sizes[0], rtol=0.03)


@pytest.mark.long
def test_stamps_are_kept_only_if_wanted(task):
    without = measure_galaxy(dataclasses.replace(task, keep_stamps=False))
    assert without.stamps == {} and without.values == measure_galaxy(task).values


@pytest.mark.parametrize("change", [
    dict(noise_sigma=np.nan), dict(psf=np.full((33, 33), np.nan))])
def test_nothing_is_measured_where_noise_or_psf_make_no_sense(task, change):
    broken = dataclasses.replace(
        task, observation=dataclasses.replace(task.observation, **change))
    measurements = measure_galaxy(broken)
    for sample in SAMPLES:
        assert [flag for flag, on in measurements.flags[sample].items() if on] == ["not_usable"]
        assert np.isnan(list(measurements.values[sample].values())).all()
    assert measurements.numbers == {} and np.isnan(measurements.stamps["real"]).all()


def test_threads_are_restored():
    before = galsim.utilities.get_omp_threads()
    restore = single_threaded()
    assert galsim.utilities.get_omp_threads() == 1
    restore()
    assert galsim.utilities.get_omp_threads() == before
