"""The Frechet distance."""

import galsim
import numpy as np
import pytest
from scipy import linalg

from galsim_deep.embeddings import frechet_distance
from galsim_deep.embeddings.distance import compare_sets


def test_against_its_definition():
    """Heusel et al. 2017, eq. 6, with the matrix square root of SciPy."""
    rng = np.random.default_rng(1)
    first = rng.normal(size=(50, 4))
    second = 1.5 * rng.normal(size=(80, 4)) @ rng.normal(size=(4, 4))
    covariances = [np.cov(values, rowvar=False) for values in (first, second)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = (np.sum((first.mean(axis=0) - second.mean(axis=0))**2)
                + np.trace(covariances[0] + covariances[1] - 2 * root))
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-8)


def test_fewer_members_than_numbers():
    """Covariances are singular."""
    values = np.random.default_rng(1).normal(size=(6, 20))
    assert frechet_distance(values, values) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(values, values + 1.0) == pytest.approx(20.0, rel=1e-6)


@pytest.mark.parametrize("first, second", [
    (np.zeros((1, 3)), np.zeros((5, 3))), (np.zeros((5, 3)), np.zeros((5, 2)))])
def test_sets_that_cannot_be_compared(first, second):
    with pytest.raises(galsim.GalSimError, match="two sets of at least two embeddings"):
        frechet_distance(first, second)


def test_the_floor_is_the_distance_of_equal_distributions():
    rng = np.random.default_rng(2)
    values = [compare_sets(rng.normal(size=(300, 8)), rng.normal(size=(300, 8)), seed=number)
              for number in range(8)]
    assert abs(np.mean([value.excess for value in values])) < 0.3 * values[0].floor
    assert 0 < values[0].floor_error < values[0].floor


def test_the_floor_if_there_are_hardly_more_stamps_than_numbers():
    """Distance and floor are for sets of the same size, so that their difference has no bias."""
    rng = np.random.default_rng(4)
    found = [compare_sets(rng.normal(size=(40, 30)), rng.normal(size=(40, 30)), seed=number)
             for number in range(6)]
    assert abs(np.mean([value.excess for value in found])) < 0.05 * found[0].floor


def test_sources_with_several_stamps():
    """Copies of stamps tell nothing new: with their sources stated, the error stays as large."""
    rng = np.random.default_rng(3)
    real, generated = rng.normal(size=(60, 3)), rng.normal(0.5, 1, size=(60, 3))
    once = compare_sets(real, generated)
    copies = compare_sets(np.repeat(real, 5, 0), np.repeat(generated, 5, 0),
                          np.repeat(np.arange(60), 5))
    assert copies.value == pytest.approx(once.value, rel=0.1)
    assert copies.error == pytest.approx(once.error, rel=0.3)
    assert copies.floor == pytest.approx(once.floor, rel=0.35)


def test_too_few_sources():
    with pytest.raises(galsim.GalSimError, match="3 sources; at least four"):
        compare_sets(np.zeros((6, 2)), np.zeros((6, 2)), np.arange(6) // 2)
