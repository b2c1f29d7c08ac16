"""What is measured on a generated galaxy and on a reconstruction."""

import galsim
import numpy as np
import pytest

from galsim_deep.validation.flux_units import FluxUnits
from galsim_deep.validation.measure_generated import Task, draw_generated, measure_generated
from galsim_deep.validation.random_streams import RandomStreams

GAIN = 2.0


@pytest.fixture
def make_task(observe, card):
    """``make_task(truth)``: a round disc in noise, reconstructed as what it is."""

    def make(truth=True):
        disc = galsim.Exponential(half_light_radius=0.25, flux=30.0)
        profile = disc.drawImage(nx=64, ny=64, scale=0.03, method="no_pixel", dtype=float).array
        observation = observe(size=64, noise_sigma=0.002, truth=profile if truth else None)
        noise = np.random.default_rng(1).normal(scale=0.002, size=(64, 64))
        observation.stamp[:] = observation.convolved(galsim.InterpolatedImage(
            galsim.Image(profile, scale=0.03))) + noise
        return Task(observation=observation, generated=profile / GAIN,
                    reconstructed=profile / GAIN, card=card, pixel_scale=0.03,
                    units=FluxUnits(GAIN), streams=RandomStreams(3), keep_stamps=False)

    return make


def test_a_reconstruction_that_is_the_truth(make_task):
    numbers = measure_generated(make_task()).numbers
    assert numbers["chi2_truth"] == pytest.approx(1.0, abs=0.1)
    assert numbers["chi2_reconstructed"] == pytest.approx(numbers["chi2_truth"], rel=1e-6)


def test_a_truth_without_light(make_task):
    """It has no chi-square; the rest of the galaxy is measured all the same."""
    task = make_task()
    task.observation.truth[:] = 0
    numbers = measure_generated(task).numbers
    assert np.isnan(numbers["chi2_truth"]) and np.isfinite(numbers["chi2_reconstructed"])


def test_the_truth_is_measured_where_it_is_known(make_task):
    numbers = measure_generated(make_task(truth=False)).numbers
    assert "chi2_truth" not in numbers and numbers["chi2_reconstructed"] > 0


def test_stamps_are_in_the_units_of_the_real_ones(make_task):
    task = make_task()
    stamps = draw_generated(task)
    np.testing.assert_allclose(stamps["profile"], task.observation.truth)
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
