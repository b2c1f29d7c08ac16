"""Numbers with bootstrap errors, against what theory says of them."""

import numpy as np
import pytest

from galsim_deep.validation.estimates import binned, estimate, mean, median
from galsim_deep.validation.two_sample import bootstrap_weights


def test_an_estimate_leaves_out_samples_that_are_not_finite():
    assert estimate(2.0, [1.0, 3.0, np.nan]) == dict(value=2.0, error=1.0)
    assert np.isnan(estimate(2.0, [np.nan])["error"])


@pytest.mark.parametrize("function, factor", [(mean, 1.0), (median, 1.2533)])
def test_errors_of_mean_and_median(function, factor):
    values = np.random.default_rng(1).normal(5.0, 2.0, 2000)
    result = function(values, bootstrap_weights(np.arange(2000), 300, 0))
    assert result["error"] == pytest.approx(factor * 2.0 / np.sqrt(2000), rel=0.15)
    assert abs(result["value"] - 5.0) < 4 * result["error"]


@pytest.mark.parametrize("function", [mean, median])
def test_values_that_are_not_known(function):
    weights = bootstrap_weights(np.arange(4), 50, 0)
    assert function(np.array([1.0, np.nan, 1.0, np.nan]), weights)["value"] == 1.0
    nothing = function(np.full(4, np.nan), weights)
    assert np.isnan([nothing["value"], nothing["error"]]).all()


# ---- bins -----------------------------------------------------------------------------------


def made_up(n, seed=0, scatter=0.3):
    """Values of another quantity, and numbers that grow with it by 0.1 per unit."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(20, 26, n)
    return x, 0.1 * (x - 23) + scatter * rng.standard_normal(n)


def test_bins_give_the_median_and_the_scatter():
    n, bins = 6000, 6
    x, values = made_up(n)
    rows = binned(x, values, bootstrap_weights(np.arange(n), 200, 0), count=bins)
    assert len(rows) == 1 + bins
    assert [row["n"] for row in rows] == [n] + [n // bins] * bins
    assert (rows[0]["low"], rows[0]["high"]) == (x.min(), x.max())
    for number, row in enumerate(rows[1:]):
        assert row["low"] == pytest.approx(20 + number, abs=0.1)
        assert row["high"] == pytest.approx(21 + number, abs=0.1)
        # The error of a median is 1.2533 sigma / sqrt(n).
        error = 1.2533 * 0.3 / np.sqrt(n / bins)
        assert row["median"] == pytest.approx(0.1 * (number - 2.5), abs=4 * error)
        assert row["median_error"] == pytest.approx(error, rel=0.35)
        assert row["scatter"] == pytest.approx(0.3 * 0.9945, rel=0.1)
        assert 0 < row["scatter_error"] < 2 * error
    assert np.mean([row["median_error"] for row in rows[1:]]) == pytest.approx(error, rel=0.15)


def test_the_first_row_is_of_all():
    n = 4000
    rng = np.random.default_rng(1)
    rows = binned(rng.uniform(0, 1, n), rng.normal(0.7, 2.0, n),
                  bootstrap_weights(np.arange(n), 300, 0))
    error = 1.2533 * 2 / np.sqrt(n)
    assert rows[0]["median"] == pytest.approx(0.7, abs=3.5 * error)
    assert rows[0]["median_error"] == pytest.approx(error, rel=0.2)
    # One error of a quantile at 16 % is 1.52 sigma / sqrt(n), and the two hardly correlate.
    assert rows[0]["scatter"] == pytest.approx(2 * 0.9945, abs=0.15)


def test_errors_are_over_groups():
    """Rows of one group say the same, so that only groups count."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(200), 10)
    values = rng.standard_normal(200)[groups]
    row = binned(rng.uniform(0, 1, 2000), values, bootstrap_weights(groups, 300, 0))[0]
    assert row["median_error"] == pytest.approx(1.2533 / np.sqrt(200), rel=0.35)


@pytest.mark.filterwarnings("error")
def test_what_could_not_be_measured_is_left_out():
    x, values = made_up(600, seed=3)
    weights = bootstrap_weights(np.arange(600), 50, 0)
    expected = binned(x[:500], values[:500], weights[:, :500])
    values[500:550] = np.nan
    x[550:575] = np.nan
    values[575:] = np.inf
    assert binned(x, values, weights) == expected
    assert expected[0]["n"] == 500


@pytest.mark.filterwarnings("error")
def test_nothing_measured_gives_no_rows():
    x = np.arange(10.0)
    assert binned(x, np.full(10, np.nan), np.ones((5, 10))) == []
    assert binned(np.array([]), np.array([]), np.ones((5, 0))) == []


def test_fewer_galaxies_than_bins():
    rows = binned(np.array([1.0, 2.0]), np.array([0.5, 0.5]), np.ones((4, 2)), count=6)
    assert rows[0]["n"] == 2
    assert sum(row["n"] for row in rows[1:]) == 2
    assert all(row["median"] == 0.5 and row["scatter"] == 0 for row in rows)


def test_bins_of_equal_values():
    rows = binned(np.full(50, 3.0), np.arange(50.0), np.ones((4, 50)))
    assert sum(row["n"] for row in rows[1:]) == 50
    assert rows[0]["median"] == pytest.approx(24.5, abs=0.6)


def test_the_median_of_a_few():
    """Of an odd number the middle one, as numpy has it."""
    row = binned(np.arange(5.0), np.array([7.0, 1.0, 3.0, 100.0, 5.0]), np.ones((4, 5)), count=1)
    assert row[0]["median"] == 5.0
