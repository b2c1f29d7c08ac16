"""What is found about a generated galaxy and a reconstruction."""

import types

import galsim
import numpy as np
import pytest

from galsim_deep.validation.examine import Task, examine_generated


def task(observe, truth=True, gain=2.0):
    """A round disk in noise, reconstructed as what it is, in units of a module."""
    disk = galsim.Exponential(half_light_radius=0.25, flux=30.0)
    profile = disk.drawImage(nx=64, ny=64, scale=0.03, method="no_pixel", dtype=float).array
    seen = observe(size=64, noise_sigma=0.002, truth=profile if truth else None)
    noise = np.random.default_rng(1).normal(scale=0.002, size=(64, 64))
    seen.stamp[:] = seen.convolved(galsim.InterpolatedImage(
        galsim.Image(profile, scale=0.03))) + noise
    card = types.SimpleNamespace(
        columns=(), pixel_scale=0.03, stamp_size=64, zero_point=25.94, exposure_time=1.0)
    return Task(observation=seen, generated=profile / gain, reconstructed=profile / gain,
                card=card, gain=gain, seed=3, keep=False)


def test_a_reconstruction_that_is_the_truth(observe):
    found = examine_generated(task(observe)).numbers
    assert found["chi2_truth"] == pytest.approx(1.0, abs=0.1)
    assert found["chi2_reconstructed"] == pytest.approx(found["chi2_truth"], rel=1e-6)


def test_a_truth_without_light(observe):
    """Nobody could have known the galaxy; the rest of it is measured all the same."""
    one = task(observe)
    one.observation.truth[:] = 0
    found = examine_generated(one).numbers
    assert np.isnan(found["chi2_truth"]) and np.isfinite(found["chi2_reconstructed"])


def test_the_truth_counts_where_it_is_known(observe):
    found = examine_generated(task(observe, truth=False)).numbers
    assert "chi2_truth" not in found and found["chi2_reconstructed"] > 0
