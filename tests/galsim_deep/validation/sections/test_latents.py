"""Latents of encoded stamps: the most informative ones of thousands."""

import types

import numpy as np
import pytest

from galsim_deep.observations.flux_units import FluxUnits
from galsim_deep.validation.sections.latents import Latents, most_informative

INFORMATIVE = [2100, 7, 640]
"""Latents that follow the stamp, in the order of the width of their posterior."""
SIZE = 3200
COUNT = 100


class Encoder:
    """Three latents follow the stamp; the others have the posterior of their prior."""

    def encode(self, observations):
        assert all(observation.noise_sigma == 0.5 for observation in observations)
        values = np.array([observation.stamp[0, 0] for observation in observations])
        n = len(values)
        mean = np.full((n, SIZE), 0.01, np.float32)
        mean += 0.01 * np.random.default_rng(3).standard_normal(mean.shape).astype(np.float32)
        scale = np.ones((n, SIZE), np.float32)
        scale[:, 11] = 1e-4  # narrow, and always in the same place
        mean[:, 11] = 3.0
        for place, width in zip(INFORMATIVE, (0.01, 0.1, 0.3), strict=True):
            mean[:, place] = values
            scale[:, place] = width * np.linspace(0.9, 1.1, n)
        mean[:, 12], scale[:, 12] = values, 1e-3  # measured, not inferred
        return mean, scale


@pytest.fixture
def comparison(observe, random_measurements, card, make_comparison):
    measurements = random_measurements(COUNT)
    measurements.stamps.update({
        sample: np.random.default_rng(seed).normal(size=(COUNT, 4, 4)).astype(np.float32)
        for sample, seed in [("real", 1), ("generated", 2)]})
    galaxies = types.SimpleNamespace(observation=lambda number: observe(size=8, noise_sigma=1.0))
    return make_comparison(card, measurements, galaxies=galaxies, reconstructor=Encoder(),
                           units=FluxUnits(2.0))


def test_the_most_informative_latents(comparison):
    samples = Latents(comparison).samples
    assert samples.which[:3].tolist() == INFORMATIVE and 11 not in samples.which
    for name in ("real", "generated"):
        values = getattr(samples, name)
        assert values.shape == (COUNT, 5) and values.dtype == np.float32
        for n, width in enumerate((0.01, 0.1, 0.3)):
            off = values[:, n] - comparison.measurements.stamps[name][:, 0, 0] / 2
            assert off.std() == pytest.approx(width, rel=0.3)
    assert not np.array_equal(samples.real[:, 4], samples.generated[:, 4])


def test_the_corner_plot(comparison):
    figure, = Latents(comparison).figures({})
    assert len(figure.drawing.axes) == 5 * 5 + 1  # and the scale of magnitudes
    assert figure.drawing.axes[20].get_xlabel() == f"latent {INFORMATIVE[0]}"


def test_modules_that_do_not_encode_have_no_such_section(
        random_measurements, card, make_comparison):
    assert not Latents.applies_to(make_comparison(card, random_measurements(3)))


def test_rows_that_are_not_finite_are_left_out():
    mean = np.array([[0.0, 1.0], [1.0, 1.1], [np.nan, 500.0]])
    assert most_informative(mean, np.ones((3, 2))).tolist() == [0, 1]


def test_nothing_is_finite():
    assert most_informative(np.full((2, 9), np.nan), np.ones((2, 9))).tolist() == [0, 1, 2, 3, 4]
