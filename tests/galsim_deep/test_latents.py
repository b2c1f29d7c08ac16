"""Latents: standard normal, drawn from GalSim's deviates, one seed one galaxy."""

import galsim
import numpy as np
import pytest

from galsim_deep import latents

EXPECTED = [1.0188987, 0.3647576, -0.41668046, -2.0369658]


def test_known_numbers():
    """What a seed means must never change: the same simulation years later."""
    rng, = latents.deviates(1, seeds=[12345])
    np.testing.assert_allclose(latents.draw([rng], 4)[0], EXPECTED, rtol=1e-6)
    scrambled = [latents._scrambled(seed) for seed in (0, 1, -1, 2**40)]
    assert scrambled == [1063198246, 722909341, 1696075538, 852207068]


def test_rows_of_an_rng_are_drawn_one_after_the_other():
    together = latents.draw(latents.deviates(3, rng=galsim.BaseDeviate(8)), 5)
    rng = galsim.BaseDeviate(8)
    one_by_one = [latents.draw([rng], 5)[0] for _ in range(3)]
    np.testing.assert_array_equal(together, one_by_one)
    assert len(np.unique(together)) == together.size


def test_the_callers_rng_advances():
    rng = galsim.BaseDeviate(8)
    latents.draw(latents.deviates(3, rng=rng), 4)
    assert rng != galsim.BaseDeviate(8)


def test_neighbouring_seeds_are_independent():
    drawn = latents.draw(latents.deviates(20_000, seeds=range(20_000)), 4)
    assert drawn.dtype == np.float32
    assert abs(drawn.mean()) < 0.02
    assert drawn.std() == pytest.approx(1.0, abs=0.02)
    assert abs(np.mean(drawn[1:] * drawn[:-1])) < 0.02


@pytest.mark.parametrize("seeds", [[0], [-3], [2**63 - 1], [-2**63], [2**64 - 1]])
def test_any_integer_is_a_seed(seeds):
    first = latents.draw(latents.deviates(1, seeds=seeds), 4)
    np.testing.assert_array_equal(first, latents.draw(latents.deviates(1, seeds=seeds), 4))


def test_seeds_do_not_collide_with_galsims_own():
    """A simulation that seeds other things with the same ids gets other numbers there."""
    drawn = latents.draw(latents.deviates(50, seeds=range(1, 51)), 2)[:, 0]
    plain = [galsim.GaussianDeviate(seed)() for seed in range(1, 51)]
    assert not np.any(np.isclose(drawn, plain))
