"""Latents of encoded stamps: of thousands, those that tell galaxies apart."""

import types

import numpy as np
import pytest

from galsim_deep.validation.encoded import encode_kept, informative

TELLING = [2100, 7, 640]
"""Latents that follow the stamp, from the narrowest posterior on."""
SIZE = 3200


class Encoder:
    """Three latents follow the stamp; the others have the posterior of their prior."""

    def encode(self, stamps, observations):
        assert all(seen.noise_sigma == 0.5 for seen in observations)
        n = len(stamps)
        mean = np.full((n, SIZE), 0.01, np.float32)
        mean += 0.01 * np.random.default_rng(3).standard_normal(mean.shape).astype(np.float32)
        scale = np.ones((n, SIZE), np.float32)
        scale[:, 11] = 1e-4  # narrow, and always in the same place
        mean[:, 11] = 3.0
        for place, width in zip(TELLING, (0.01, 0.1, 0.3), strict=True):
            mean[:, place] = stamps[:, 0, 0]
            scale[:, place] = width * np.linspace(0.9, 1.1, n)
        mean[:, 12], scale[:, 12] = stamps[:, 0, 0], 1e-3  # measured, not inferred
        return mean, scale


@pytest.fixture
def sample(observe):
    count = 100
    stamps = {name: np.random.default_rng(seed).normal(size=(count, 4, 4)).astype(np.float32)
              for name, seed in [("real", 1), ("generated", 2)]}
    survey = types.SimpleNamespace(observation=lambda number: observe(size=8, noise_sigma=1.0))
    return survey, types.SimpleNamespace(stamps=stamps)


def test_latents_that_say_most(sample):
    survey, measurements = sample
    found = encode_kept(Encoder(), survey, measurements, gain=2.0, seed=1)
    assert found.which[:3].tolist() == TELLING and 11 not in found.which
    for name in ("real", "generated"):
        values = getattr(found, name)
        assert values.shape == (100, 5) and values.dtype == np.float32
        for n, width in enumerate((0.01, 0.1, 0.3)):
            off = values[:, n] - measurements.stamps[name][:, 0, 0] / 2
            assert off.std() == pytest.approx(width, rel=0.3)
    assert not np.array_equal(found.real[:, 4], found.generated[:, 4])


def test_rows_that_are_not_finite_do_not_count():
    mean = np.array([[0.0, 1.0], [1.0, 1.1], [np.nan, 500.0]])
    assert informative(mean, np.ones((3, 2))).tolist() == [0, 1]


def test_nothing_that_is_finite():
    assert informative(np.full((2, 9), np.nan), np.ones((2, 9))).tolist() == [0, 1, 2, 3, 4]
