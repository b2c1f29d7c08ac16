"""Trends follow the rows and continue them; draws are of near rows."""

import numpy as np
import pytest

from galsim_deep_training.data.population.neighbours import Neighbours, Trend


def test_a_trend_that_bends():
    rng = np.random.default_rng(1)
    magnitude = rng.uniform(20, 26, 4000)
    trend = Trend(magnitude, 0.05 * (magnitude - 23)**2 + 0.3 * rng.standard_normal(4000))
    at = np.linspace(20.5, 25.5, 11)
    np.testing.assert_allclose(trend(at), 0.05 * (at - 23)**2, atol=0.06)


def test_a_trend_continues_with_the_slope_of_its_ends():
    magnitude = np.linspace(18, 26, 900)
    trend = Trend(magnitude, -0.3 * np.abs(magnitude - 22))
    assert trend(30.0) == pytest.approx(-0.3 * 8, abs=0.03)
    assert trend(14.0) == pytest.approx(-0.3 * 8, abs=0.03)
    assert trend(np.full((2, 3), 25.0)).shape == (2, 3)


def test_draws_are_as_wide_as_the_kernel_where_rows_are_dense():
    points = np.random.default_rng(2).uniform(-10, 10, (20_000, 1))
    neighbours, rng = Neighbours(points, 8000), np.random.default_rng(3)
    found = np.array([points[neighbours.draw(np.array([1.0]), rng), 0] for _ in range(3000)])
    assert found.mean() == pytest.approx(1.0, abs=0.08)
    assert found.std() == pytest.approx(1.0, rel=0.06)


def test_draws_far_from_all_rows_are_of_the_nearest():
    points = np.arange(100.0)[:, None]
    neighbours, rng = Neighbours(points, 5), np.random.default_rng(4)
    assert {neighbours.draw(np.array([1e4]), rng) for _ in range(300)} == set(range(95, 100))


def test_fewer_rows_than_neighbours():
    neighbours = Neighbours(np.zeros((1, 2)), 10)
    assert neighbours.draw(np.array([3.0, 4.0]), np.random.default_rng(5)) == 0
    assert neighbours.distance(np.array([[3.0, 4.0]]), 5).tolist() == [5.0]


def test_distance_of_a_nearest_row():
    neighbours = Neighbours(np.arange(10.0)[:, None], 3)
    points = np.array([[[0.0], [20.0]]])
    np.testing.assert_array_equal(neighbours.distance(points, 3), [[2.0, 13.0]])
