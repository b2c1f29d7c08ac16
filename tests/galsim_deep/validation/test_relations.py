"""Slopes, scatter and rank correlations, of data that are known."""

import numpy as np
import pytest

from galsim_deep.validation.relations import fit_relation, rank_correlations
from galsim_deep.validation.two_sample import bootstrap_weights


def test_slopes_while_the_others_stay():
    """Predictors that are correlated with each other."""
    rng = np.random.default_rng(1)
    first = rng.normal(size=400)
    second = 0.8 * first + 0.6 * rng.normal(size=400)
    values = 2 + 0.5 * first - 1.5 * second + 0.2 * rng.normal(size=400)
    weights = np.vstack([np.ones(400), bootstrap_weights(np.arange(400), 50, 1)])
    slopes, scatter = fit_relation(values, np.stack([first, second], axis=1), weights)
    error = slopes[1:].std(axis=0)
    assert (np.abs(slopes[0] - [0.5, -1.5]) < 4 * error).all() and (error < 0.05).all()
    assert scatter[0] == pytest.approx(0.2, rel=0.1)


def test_weights_are_repetitions():
    x, values = np.arange(6.0), np.array([0, 1, 5, 2, 8, 3.0])
    weights = np.array([[2.0, 0, 1, 1, 3, 1]])
    rows = np.repeat(np.arange(6), weights[0].astype(int))
    for weighted, repeated in zip(
            fit_relation(values, x[:, None], weights),
            fit_relation(values[rows], x[rows, None], np.ones((1, 8))), strict=True):
        np.testing.assert_allclose(weighted, repeated)
    assert rank_correlations(x, values, weights) == pytest.approx(
        rank_correlations(x[rows], values[rows], np.ones((1, 8))))


def test_too_few():
    slopes, scatter = fit_relation(np.ones(2), np.ones((2, 1)), np.ones((1, 2)))
    assert np.isnan(slopes).all() and np.isnan(scatter).all()
    assert np.isnan(rank_correlations(np.ones(2), np.ones(2), np.ones((1, 2)))).all()
