"""Numbers with errors, as they are in report.json: {"value": ..., "error": ...}."""

__all__ = ["Estimate", "UNKNOWN", "binned", "estimate", "mean", "median", "quantiles"]

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Estimate = dict[str, float]
"""``value`` and ``error``; NaN if they are not known."""

UNKNOWN: Estimate = dict(value=float("nan"), error=float("nan"))
"""An estimate that is not known.  To be copied, not changed."""


def estimate(value: float, samples: ArrayLike) -> Estimate:
    """A number with the standard deviation of its bootstrap samples.

    Parameters:
        value:      The number.
        samples:    Its bootstrap samples, shape [B]; those that are not finite are left out.
    """
    samples = np.asarray(samples, float)
    finite = np.isfinite(samples)
    return dict(value=float(value),
                error=float(np.std(samples[finite])) if finite.any() else float("nan"))


def mean(values: np.ndarray, weights: np.ndarray) -> Estimate:
    """Mean and bootstrap error of numbers.

    Parameters:
        values:     Shape [N]; those that are not finite are left out.
        weights:    Bootstrap weights, shape [B, N] (`two_sample.bootstrap_weights`).
    """
    finite = np.isfinite(values)
    if not finite.any():
        return dict(UNKNOWN)
    values, weights = values[finite], weights[:, finite]
    with np.errstate(invalid="ignore"):
        return estimate(values.mean(), weights @ values / weights.sum(axis=1))


def median(values: np.ndarray, weights: np.ndarray) -> Estimate:
    """Median and bootstrap error of numbers.  Parameters are those of `mean`."""
    rows = binned(np.zeros(len(values)), values, weights, count=1)
    if not rows:
        return dict(UNKNOWN)
    return dict(value=rows[0]["median"], error=rows[0]["median_error"])


def binned(x: np.ndarray, values: np.ndarray, weights: np.ndarray, count: int = 6
           ) -> list[dict[str, Any]]:
    """Median and scatter of numbers in bins of another quantity, with bootstrap errors.

    Parameters:
        x:          The quantity that is binned, shape [N].
        values:     The numbers, shape [N]; rows are left out if either is not finite.
        weights:    Bootstrap weights, shape [B, N] (`two_sample.bootstrap_weights`).
        count:      Number of bins; all hold equally many galaxies.

    Returns:
        a list of dicts, the first for all galaxies, then one for each bin: ``low`` and ``high`` (of
        x), ``n``, ``median``, ``median_error``, ``scatter``, ``scatter_error``.  The scatter is
        half the distance between the 16th and 84th percentiles.
    """
    finite = np.isfinite(x) & np.isfinite(values)
    if not finite.any():
        return []
    x, values, weights = x[finite], values[finite], weights[:, finite]
    edges = np.quantile(x, np.linspace(0, 1, count + 1))
    numbers = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, count - 1)
    rows = [_median_and_scatter(x, values, weights)]
    for number in range(count):
        inside = numbers == number
        if inside.any():
            rows.append(_median_and_scatter(x[inside], values[inside], weights[:, inside]))
    return rows


def _median_and_scatter(x: np.ndarray, values: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    low, middle, high = quantiles(values, np.ones((1, len(values))))[0]
    samples = quantiles(values, weights)
    scatter = 0.5 * (samples[:, 2] - samples[:, 0])
    return dict(low=float(x.min()), high=float(x.max()), n=len(x),
                median=float(middle), median_error=float(np.nanstd(samples[:, 1])),
                scatter=float(0.5 * (high - low)), scatter_error=float(np.nanstd(scatter)))


def quantiles(values: np.ndarray, weights: np.ndarray,
              levels: Sequence[float] = (0.16, 0.5, 0.84)) -> np.ndarray:
    """Weighted quantiles of numbers, for many sets of weights.

    Parameters:
        values:     Shape [N].
        weights:    Shape [B, N].
        levels:     The l levels of the quantiles.

    Returns:
        float64, shape [B, l]; NaN for a set of weights that are all zero.
    """
    order = np.argsort(values)
    cumulative = np.cumsum(weights[:, order], axis=1)
    total = cumulative[:, -1:]
    result = np.full((len(weights), len(levels)), np.nan)
    for row in np.flatnonzero(total[:, 0] > 0):
        indices = np.searchsorted(cumulative[row], np.array(levels) * total[row])
        result[row] = values[order][np.minimum(indices, len(values) - 1)]
    return result
