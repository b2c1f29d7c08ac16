"""What is measured on a generated galaxy and on a reconstruction."""

import dataclasses

import galsim
import numpy as np
import pytest

from galsim_deep.measure.structure import peak_surface_brightness
from galsim_deep.observations.flux_units import FluxUnits
from galsim_deep.validation.measure_generated import Task, draw_generated, measure_generated
from galsim_deep.validation.random_streams import RandomStreams

GAIN = 2.0


@pytest.fixture
def make_task(observe, card):
    """``make_task(known)``: a round disc in noise, reconstructed as what it is."""

    def make(known=True):
        disc = galsim.Exponential(half_light_radius=0.25, flux=30.0)
        profile = disc.drawImage(nx=64, ny=64, scale=0.03, method="no_pixel", dtype=float).array
        observation = observe(size=64, noise_sigma=0.002)
        noise = np.random.default_rng(1).normal(scale=0.002, size=(64, 64))
        noiseless = observation.convolved(galsim.InterpolatedImage(
            galsim.Image(profile, scale=0.03)))
        observation = dataclasses.replace(observation, stamp=noiseless + noise,
                                          noiseless=noiseless if known else None)
        return Task(observation=observation, generated=profile / GAIN,
                    reconstructed=profile / GAIN, card=card, pixel_scale=0.03,
                    units=FluxUnits(GAIN), streams=RandomStreams(3), keep_stamps=False)

    return make


def test_a_reconstruction_that_is_the_galaxy(make_task):
    numbers = measure_generated(make_task()).numbers
    assert numbers["chi2_noiseless"] == pytest.approx(1.0, abs=0.1)
    assert numbers["chi2_reconstructed"] == pytest.approx(numbers["chi2_noiseless"], rel=1e-6)


def test_stamps_without_noise_are_measured_where_they_are_known(make_task):
    numbers = measure_generated(make_task(known=False)).numbers
    assert "chi2_noiseless" not in numbers and numbers["chi2_reconstructed"] > 0
    assert "peak_generated" not in numbers


def test_the_generated_galaxy_is_measured_behind_the_psf(make_task):
    """In the flux unit of the module, as the real one without noise."""
    task = make_task()
    numbers = measure_generated(task).numbers
    assert numbers["peak_generated"] == pytest.approx(peak_surface_brightness(
        task.observation.noiseless / GAIN, 0.03), rel=1e-3)
    # Pixels of the module that are not those of the stamp do not matter.
    assert "peak_generated" in measure_generated(
        dataclasses.replace(task, pixel_scale=0.06)).numbers


def test_stamps_are_in_the_units_of_the_real_ones(make_task):
    task = make_task()
    stamps = draw_generated(task)
    np.testing.assert_allclose(stamps["profile"], GAIN * task.generated)
    assert stamps["generated"].sum() == pytest.approx(task.observation.stamp.sum(), rel=0.01)
    # The noise is that of the stream of this galaxy and sample.
    again = draw_generated(task)["generated"]
    np.testing.assert_array_equal(stamps["generated"], again)


def test_an_image_that_is_no_profile_is_drawn_as_nan(make_task):
    task = make_task()
    task.generated[:] = -1.0
    assert np.isnan(draw_generated(task)["generated"]).all()
    measurements = measure_generated(task)
    assert measurements.flags["generated"]["not_finite"]
    assert np.isnan(measurements.numbers["measured_magnitude"])
