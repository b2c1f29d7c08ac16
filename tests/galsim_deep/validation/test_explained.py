"""The share of the variance that classes explain: known by hand, by scipy, and by chance."""

import numpy as np
import pytest
from scipy import stats

from galsim_deep.validation.explained import explained, explained_by_chance


@pytest.mark.parametrize("values, classes, share", [
    ([1, 2, 3, 4], [0, 0, 1, 1], 0.8),         # 4 of 5
    ([1, 1, 3, 3], [0, 0, 1, 1], 1.0),
    ([1, 3, 1, 3], [0, 0, 1, 1], 0.0),
    ([0, 0, 0, 4], [0, 0, 0, 1], 1.0),
    ([1, 2, 3, 4], [7, 7, 7, 7], 0.0),         # one class explains nothing
    ([1, 2, 3, 4], [0, 1, 2, 3], 1.0),         # nor does this say anything, but so it is defined
    ([5, 5, 5, 5], [0, 0, 1, 1], np.nan),
    ([], [], np.nan),
])
def test_by_hand(values, classes, share):
    np.testing.assert_allclose(explained(values, np.array(classes, int)), [share], atol=1e-12)


@pytest.fixture(scope="module")
def sample():
    """Three classes, of unequal sizes, whose means differ by as much as their galaxies do."""
    rng = np.random.default_rng(1)
    classes = rng.choice(3, size=4000, p=[0.5, 0.3, 0.2])
    return rng.normal(np.array([0.0, 1.0, 3.0])[classes], 1.0), classes


def test_as_it_was_made(sample):
    """Variance of the means over that and the scatter within."""
    shares, means = np.array([0.5, 0.3, 0.2]), np.array([0.0, 1.0, 3.0])
    between = shares @ means**2 - (shares @ means)**2
    assert explained(*sample)[0] == pytest.approx(between / (between + 1), abs=0.02)


def test_as_an_analysis_of_variance(sample):
    values, classes = (part[:100] for part in sample)
    f = stats.f_oneway(*(values[classes == one] for one in range(3))).statistic
    assert explained(values, classes)[0] == pytest.approx(2 * f / (2 * f + 97))


def test_neither_units_nor_names_matter(sample):
    values, classes = sample
    for other in (values * 1e-7, values + 1e7, -values):
        np.testing.assert_allclose(explained(other, classes), explained(values, classes), rtol=1e-6)
    np.testing.assert_allclose(explained(values, np.array([9, -1, 4])[classes]),
                               explained(values, classes))


def test_weights_are_repetitions(sample):
    values, classes = (part[:200] for part in sample)
    weights = np.random.default_rng(2).integers(0, 4, size=(5, 200))
    weights[4] = (classes == 1) * 2  # one class alone
    found = explained(values, classes, weights.astype(float))
    for share, times in zip(found, weights, strict=True):
        expected = explained(np.repeat(values, times), np.repeat(classes, times))
        np.testing.assert_allclose(share, expected[0], atol=1e-10)
    one = np.eye(200)[:2]  # a galaxy alone does not vary
    assert np.isnan(explained(values, classes, one)).all()


def test_chance_by_galaxies(sample):
    values, classes = (part[:60] for part in sample)
    found = explained_by_chance(values, classes, np.arange(60), 2000, 3)
    assert found.shape == (2000,)
    assert found.mean() == pytest.approx(2 / 59, rel=0.1)
    np.testing.assert_array_equal(
        found[:10], explained_by_chance(values, classes, np.arange(60), 10, 3))
    assert explained(values, classes)[0] > found.max()


def test_chance_is_larger_with_few_sources():
    """Twelve galaxies, each seen ten times: what classes explain of 120 stamps means less."""
    rng = np.random.default_rng(4)
    source = np.repeat(np.arange(12), 10)
    values = rng.normal(size=12)[source] + 0.01 * rng.normal(size=120)
    classes = (rng.permutation(12) % 3)[source]
    few = explained_by_chance(values, classes, source, 500, 1)
    many = explained_by_chance(values, classes, np.arange(120), 500, 1)
    assert many.mean() == pytest.approx(2 / 119, rel=0.25)
    assert few.mean() == pytest.approx(2 / 11, rel=0.25)


def test_chance_of_values_that_are_all_the_same():
    assert np.isnan(explained_by_chance(np.ones(9), np.arange(9) % 3, np.arange(9), 4, 1)).all()
