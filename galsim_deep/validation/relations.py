"""How a statistic follows magnitude, size and redshift: slopes and scatter, not only its mean."""

__all__ = ["PREDICTORS", "fit_relation", "rank_correlations"]

import numpy as np
from scipy import stats

PREDICTORS = ("magnitude", "log size", "redshift")
"""What the statistics are fitted against."""


def fit_relation(values: np.ndarray, predictors: np.ndarray, weights: np.ndarray
                 ) -> tuple[np.ndarray, np.ndarray]:
    """Linear fits of a statistic to several quantities at once, for many sets of weights.

    Parameters:
        values:         The statistic, shape [N].
        predictors:     Shape [N, P].
        weights:        Shape [B, N] (`two_sample.bootstrap_weights`).

    Returns:
        (slopes, scatter): float64 [B, P], the change of the statistic per unit of each quantity
        while the others stay; and [B], the standard deviation about the fit.  NaN for weights that
        leave fewer than P + 2 galaxies.

    Example:

        >>> x = np.arange(20.0)
        >>> slopes, scatter = fit_relation(3 - 2 * x, x[:, None], np.ones((1, 20)))
        >>> slopes.round(6), scatter.round(6)
        (array([[-2.]]), array([0.]))
    """
    number = predictors.shape[1]
    slopes = np.full((len(weights), number), np.nan)
    scatter = np.full(len(weights), np.nan)
    design = np.column_stack([np.ones(len(values)), predictors - predictors.mean(axis=0)])
    for row, weight in enumerate(weights):
        if np.count_nonzero(weight) < number + 2:
            continue
        root = np.sqrt(weight)[:, None]
        solution, *_ = np.linalg.lstsq(root * design, root[:, 0] * values, rcond=None)
        slopes[row] = solution[1:]
        scatter[row] = np.sqrt((weight * (values - design @ solution)**2).sum() / weight.sum())
    return slopes, scatter


def rank_correlations(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of two quantities in bootstrap samples.

    Parameters:
        a, b:       Shape [N].
        weights:    How often each galaxy occurs, shape [B, N].

    Returns:
        float64 [B]; NaN for fewer than three galaxies.

    Example:

        >>> rank_correlations(np.arange(9), np.arange(9)**2, np.ones((1, 9))).round(6)
        array([1.])
    """
    result = np.full(len(weights), np.nan)
    for row, weight in enumerate(weights):
        rows = np.repeat(np.arange(len(a)), weight.astype(int))
        if len(rows) > 2 and np.ptp(a[rows]) > 0 and np.ptp(b[rows]) > 0:
            result[row] = stats.spearmanr(a[rows], b[rows]).statistic
    return result
