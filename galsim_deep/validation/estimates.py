"""Numbers with their errors, as they stand in report.json: {"value": ..., "error": ...}."""

__all__ = ["estimate", "mean"]

import numpy as np


def estimate(value, samples):
    """An estimate with the spread of its bootstrap samples, of which some may not be known."""
    samples = np.asarray(samples, float)
    known = np.isfinite(samples)
    return dict(value=float(value),
                error=float(np.std(samples[known])) if known.any() else float("nan"))


def mean(values, weights):
    """Mean and bootstrap error of numbers [N] that may be NaN, with bootstrap weights [B, N]."""
    good = np.isfinite(values)
    if not good.any():
        return dict(value=float("nan"), error=float("nan"))
    values, weights = values[good], weights[:, good]
    with np.errstate(invalid="ignore"):
        return estimate(values.mean(), weights @ values / weights.sum(axis=1))
