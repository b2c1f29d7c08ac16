"""Distances between two samples, and those expected between two samples of real galaxies.

The distances between the distributions of one statistic are Kolmogorov-Smirnov (the largest
difference of the cumulative distributions) and Wasserstein-1 (the area between them, in the unit of
the statistic).  Over all statistics together, the distance is how well a classifier distinguishes
the samples: the area under its ROC curve, cross-validated (Lopez-Paz & Oquab 2017,
arXiv:1610.06545).

Galaxies are not independent if a few source galaxies were observed many times.  All errors are
therefore bootstrapped over *groups* (sources), and cross-validation keeps a group in one fold.
"""

__all__ = ["LEVEL", "Distance", "auc", "bootstrap_weights", "compare_samples", "distances", "floor",
           "halves", "split_distances"]

import dataclasses
from collections.abc import Sequence

import numpy as np

LEVEL = 0.99
"""The floor is this quantile of the distances between samples of real galaxies.  The quantile is
high because a dozen statistics are compared; with this quantile, some statistic exceeds its floor
by chance in about one report of eight."""

Seed = int | Sequence[int] | np.random.SeedSequence
"""A seed as `numpy.random.default_rng` takes it."""


@dataclasses.dataclass(frozen=True)
class Distance:
    """A distance with its bootstrap error.

    Attributes:
        value:  The distance; NaN if it is not known.
        error:  Standard deviation of its bootstrap samples.

    Example:

        >>> sizes = np.arange(4.0)
        >>> weights = bootstrap_weights(np.arange(4), 100, seed=1)
        >>> ks, w1, _ = compare_samples(sizes, sizes + 0.5, weights)
        >>> ks.value, w1.value
        (0.25, 0.5)
    """

    value: float
    error: float


def bootstrap_weights(groups: np.ndarray, count: int, seed: Seed) -> np.ndarray:
    """Weights of galaxies in bootstrap samples that draw whole groups with replacement.

    Parameters:
        groups:     The group of each galaxy, int [N].
        count:      Number of bootstrap samples B.
        seed:       Random seed.

    Returns:
        float64, shape [B, N]: how often each galaxy occurs in each sample.

    Example::

        >>> import numpy as np
        >>> bootstrap_weights(np.array([0, 0, 1]), 2, seed=1)
        array([[1., 1., 1.],
               [2., 2., 0.]])
    """
    names, member = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    return drawn[:, member].astype(float)


def halves(groups: np.ndarray, count: int, seed: Seed) -> np.ndarray:
    """Split a sample into random halves, by whole groups.

    Groups are assigned in random order, each to the half that has fewer galaxies so far, so that
    the sizes of the halves differ by no more than one group.

    Parameters:
        groups:     The group of each galaxy, int [N].
        count:      Number of splits B.
        seed:       Random seed.

    Returns:
        bool, shape [B, N]: True for galaxies of the first half.
    """
    names, member, size = np.unique(groups, return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)
    first = np.zeros((count, len(names)), bool)
    for split in first:
        balance = 0
        for group in rng.permutation(len(names)):
            split[group] = balance < 0 or (balance == 0 and rng.random() < 0.5)
            balance += size[group] if split[group] else -size[group]
    return first[:, member]


def distances(a: np.ndarray, b: np.ndarray, weights_a: np.ndarray | None = None,
              weights_b: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Both distances between weighted samples of a statistic, for many sets of weights at once.

    Parameters:
        a, b:                   The samples, shapes [N] and [M].
        weights_a, weights_b:   Weights, shapes [B, N] and [B, M].  [default: ones, B = 1]

    Returns:
        (ks, w1), float64 [B] each; NaN if all weights of a sample are zero.
    """
    weights_a = np.ones((1, len(a))) if weights_a is None else weights_a
    weights_b = np.ones((1, len(b))) if weights_b is None else weights_b
    values = np.concatenate([a, b])
    order = np.argsort(values, kind="stable")
    values = values[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.concatenate([weights_a / weights_a.sum(1, keepdims=True),
                               -weights_b / weights_b.sum(1, keepdims=True)], axis=1)
    # The cumulative distributions are defined after the last of several equal values.
    gap = np.diff(values)
    difference = np.abs(np.cumsum(step[:, order], axis=1))[:, :-1]
    ks = np.max(np.where(gap > 0, difference, 0.0), axis=1, initial=0.0)
    ks = np.where(np.isfinite(step).all(axis=1), ks, np.nan)
    return ks, difference @ gap


def compare_samples(real: np.ndarray, other: np.ndarray, weights: np.ndarray
            ) -> tuple[Distance, Distance, np.ndarray]:
    """The distances between paired samples of a statistic, with errors.

    Parameters:
        real, other:    The statistic of galaxy n in each sample, shape [N].
        weights:        Bootstrap weights, shape [B, N] (`bootstrap_weights`).

    Returns:
        (ks, w1, w1_samples): two `Distance` objects, and the bootstrap samples of w1, shape [B].
    """
    ks, w1 = distances(real, other)
    ks_samples, w1_samples = distances(real, other, weights, weights)
    return (Distance(float(ks[0]), float(np.nanstd(ks_samples))),
            Distance(float(w1[0]), float(np.nanstd(w1_samples))), w1_samples)


def split_distances(real: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distances between two samples of real galaxies that are as large as the whole sample.

    These are the distances between halves, divided by sqrt(2): if two samples have the same
    distribution, their distance falls with the inverse square root of the sample size.

    Parameters:
        real:       The statistic, shape [N].
        first:      The first half in each split, bool [B, N] (`halves`).

    Returns:
        (ks, w1), float64 [B] each.
    """
    ks, w1 = distances(real, real, first.astype(float), (~first).astype(float))
    return ks / np.sqrt(2), w1 / np.sqrt(2)


def floor(real: np.ndarray, first: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Median and `LEVEL` quantile of `split_distances`.

    Parameters:
        real:       The statistic, shape [N].
        first:      The first half in each split, bool [B, N] (`halves`).

    Returns:
        a dict of ``ks`` and ``w1``, each (median, `LEVEL` quantile) over the splits.
    """
    ks, w1 = split_distances(real, first)
    return {name: tuple(float(q) for q in np.nanquantile(distance, [0.5, LEVEL]))
            for name, distance in [("ks", ks), ("w1", w1)]}


def auc(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int, folds: int = 5,
        bootstraps: int = 200) -> Distance:
    """The area under the ROC curve of a classifier that distinguishes two samples.

    It is 0.5 if the classifier is right by chance only, and 1 if it is always right.  The
    classifier consists of gradient-boosted trees, cross-validated with whole groups in one fold.
    Scores are replaced by their rank within a fold before they are pooled, since the mean score
    differs between folds.

    Parameters:
        features:   Shape [N, F]; may be NaN.
        labels:     True for rows of the first sample (which should score high), False for those of
                    the second, bool [N].
        groups:     The group of each row, int [N].
        seed:       Random seed.
        folds:      Number of folds; fewer if there are fewer groups.
        bootstraps: Number of bootstrap samples of groups for the error.

    Returns:
        a `Distance`; NaN if there are not enough groups for two folds, or a sample is empty.
        The error does not include the scatter that arises because the classifier depends on its
        training set.  For samples of the same distribution, the standard deviation of the area is
        1.2 times the error.
    """
    from scipy.stats import rankdata
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits

    labels = np.asarray(labels, bool)
    folds = min(folds, *(len(np.unique(groups[labels == side])) for side in (True, False)))
    if folds < 2:
        return Distance(np.nan, np.nan)
    scores = np.full(len(labels), np.nan)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in splitter.split(features, labels, groups):
        if len(np.unique(labels[train])) < 2:
            continue
        classifier = HistGradientBoostingClassifier(
            max_iter=100, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=10,
            l2_regularization=1.0, random_state=seed)
        # Trees of this size do not gain from several threads; on a busy machine, threads that wait
        # for each other take a hundred times as long.
        with threadpool_limits(1):
            classifier.fit(features[train], labels[train])
            score = classifier.predict_proba(features[test])[:, 1]
        scores[test] = (rankdata(score) - 0.5) / len(test)
    scored = np.isfinite(scores)
    scores, labels, groups = scores[scored], labels[scored], groups[scored]
    samples = [_area(scores, labels, w) for w in bootstrap_weights(groups, bootstraps, seed)]
    return Distance(float(_area(scores, labels, np.ones(len(scores)))), float(np.nanstd(samples)))


def _area(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """Weighted area under the ROC curve; ties count half."""
    levels, level = np.unique(scores, return_inverse=True)
    positive = np.bincount(level, weights * labels, len(levels))
    negative = np.bincount(level, weights * ~labels, len(levels))
    below = np.cumsum(negative) - negative
    with np.errstate(invalid="ignore"):
        return (positive * (below + 0.5 * negative)).sum() / (positive.sum() * negative.sum())
