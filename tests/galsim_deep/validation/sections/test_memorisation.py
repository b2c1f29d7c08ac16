"""The search for copies: when there is one, and what it finds."""

import dataclasses
import types

import galsim
import numpy as np
import pytest

from galsim_deep.validation.galaxy import SAMPLES
from galsim_deep.validation.sections.memorisation import Memorisation

COUNT = 12


@pytest.fixture
def galaxies(observe):
    """Bright galaxies of random shapes, each with its own source."""
    rng = np.random.default_rng(1)
    observations = []
    for number in range(COUNT):
        profile = galsim.Exponential(half_light_radius=0.3, flux=500.0).shear(
            g=rng.uniform(0.1, 0.6), beta=rng.uniform(0, 180) * galsim.degrees)
        profile += galsim.Gaussian(sigma=0.06, flux=60.0).shift(*rng.uniform(-0.3, 0.3, 2))
        observation = observe(size=96, noise_sigma=0.002)
        observations.append(dataclasses.replace(observation, stamp=observation.drawn_like(
            observation.convolved(profile), np.random.default_rng([2, number]))))
    return types.SimpleNamespace(
        observation=lambda number: observations[number], source=np.arange(COUNT), natural=None,
        recipe_sha256="", columns=dict(mag_auto=np.full(COUNT, 21.0)))


@pytest.fixture
def search(galaxies, random_measurements, card, make_comparison):
    """``search(**parts)``: the results for generated galaxies that are copies of training ones."""

    def compute(card=card, **parts):
        measurements = random_measurements(COUNT)
        measurements.columns["mag_auto"][:] = 21.0
        stamps = np.array([galaxies.observation(n).stamp for n in range(COUNT)])
        # The real galaxies are turned by a right angle, so that they are others than those trained
        # on; the generated ones are not.
        measurements.stamps.update(dict(zip(SAMPLES, (
            np.array([stamp[:, ::-1] + np.roll(stamp, 9, 0) for stamp in stamps]), stamps,
            np.array([stamp + np.roll(stamp, -9, 1) for stamp in stamps])), strict=True)))
        comparison = make_comparison(
            card, measurements, **dict(dict(galaxies=galaxies, training=galaxies), **parts))
        return Memorisation(comparison).compute()["memorisation"]

    return compute


def test_copies_are_found(search):
    found = search()
    assert found["n_training"] >= COUNT - 3
    assert found["generated"]["median"]["value"] < 0.3 * found["held_out"]["median"]["value"]
    assert found["parametric"]["n"] > 0


def test_each_row_shows_the_number_of_its_galaxies(search):
    """No two stamps are of one source, so that copies are planted beside them."""
    results = search()
    assert COUNT - 3 <= results["n_training"] <= COUNT
    assert results["n_training"] < results["copies"]["n"] <= 2 * results["n_training"]
    assert results["other_sources"]["n"] >= results["copies"]["n"]


def test_the_control(search):
    """Planted copies are found, and so are generated galaxies that are training galaxies."""
    results = search()
    assert results["planted"]["caught"] and results["generated"]["caught"]
    assert results["planted"]["n"] > COUNT / 2


@pytest.mark.parametrize("reason, change", [
    ("no magnitude", "card"), ("no training galaxies", "training"),
    ("training galaxies themselves", "recipe"), ("too few", "faint")])
def test_why_there_is_no_search(search, galaxies, without_magnitude, reason, change):
    parts = {}
    if change == "card":
        parts["card"] = without_magnitude
    if change == "training":
        parts["training"] = None
    if change == "recipe":
        galaxies.recipe_sha256 = "the same"
    if change == "faint":
        galaxies.columns["mag_auto"][:] = 25.0
    assert reason in search(**parts)["skipped"]


def test_galaxies_that_were_trained_on_are_not_compared(search, galaxies):
    """Those of the collection, if they are among the real galaxies."""
    whole = search()
    galaxies.natural = types.SimpleNamespace(
        parts=np.where(np.arange(COUNT) < COUNT // 2, "seen", "held-out"))
    assert search()["held_out"]["n"] < whole["held_out"]["n"]
    galaxies.natural.parts[:] = "seen"
    assert "too few" in search()["skipped"]
