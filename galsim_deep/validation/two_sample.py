"""How far two samples are apart, and how far apart two samples of real galaxies would be.

Distances between the distributions of one statistic: Kolmogorov-Smirnov (the largest difference of
the cumulative distributions) and Wasserstein-1 (the area between them, in the unit of the
statistic).  Over all statistics together: how well a classifier tells the samples apart, as the
area under its ROC curve, cross-validated (Lopez-Paz & Oquab 2017).

Rows are not independent where a few source galaxies were observed many times.  All errors are
therefore bootstrapped over *groups* (sources), and cross-validation keeps a group in one fold.
"""

__all__ = ["LEVEL", "Distance", "auc", "bootstrap_weights", "compare", "distances", "floor",
           "halves", "split_distances"]

import dataclasses

import numpy as np

LEVEL = 0.99
"""Of the distances between samples of real galaxies, this share is within the floor.  High, since a
dozen statistics are looked at together: one in eight reports would wrongly find one apart."""


@dataclasses.dataclass(frozen=True)
class Distance:
    """A distance with its bootstrap error."""

    value: float
    error: float


def bootstrap_weights(groups, count, seed):
    """Weights of rows in bootstrap samples that draw whole groups with replacement.

    Parameters:
        groups:     The group of each row, int [N].
        count:      Number of bootstrap samples B.
        seed:       Random seed.

    Returns:
        float64, shape [B, N]: how often each row occurs.
    """
    names, member = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    return drawn[:, member].astype(float)


def halves(groups, count, seed):
    """Random halves of a sample, by whole groups.

    Groups are dealt out in random order, each to the half that has fewer rows so far, so that the
    halves are equally large up to one group.

    Parameters:
        groups:     The group of each row, int [N].
        count:      Number of splits B.
        seed:       Random seed.

    Returns:
        bool, shape [B, N]: True for rows of the first half.
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


def distances(a, b, weights_a=None, weights_b=None):
    """Both distances between weighted samples of a statistic, for many sets of weights at once.

    Parameters:
        a, b:                   The samples, shapes [N] and [M].
        weights_a, weights_b:   Weights, shapes [B, N] and [B, M].  [default: ones, B = 1]

    Returns:
        (ks, w1), each [B]; NaN where a sample has no weight.
    """
    weights_a = np.ones((1, len(a))) if weights_a is None else weights_a
    weights_b = np.ones((1, len(b))) if weights_b is None else weights_b
    values = np.concatenate([a, b])
    order = np.argsort(values, kind="stable")
    values = values[order]
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.concatenate([weights_a / weights_a.sum(1, keepdims=True),
                               -weights_b / weights_b.sum(1, keepdims=True)], axis=1)
    # Of equal values, only the last has the cumulative difference that counts.
    gap = np.diff(values)
    difference = np.abs(np.cumsum(step[:, order], axis=1))[:, :-1]
    ks = np.max(np.where(gap > 0, difference, 0.0), axis=1, initial=0.0)
    ks = np.where(np.isfinite(step).all(axis=1), ks, np.nan)
    return ks, difference @ gap


def compare(real, other, weights):
    """The distances between paired samples of a statistic, with errors.

    Parameters:
        real, other:    The statistic in row n of each sample, shape [N].
        weights:        Bootstrap weights, shape [B, N] (`bootstrap_weights`).

    Returns:
        (ks, w1, w1_samples): two `Distance`, and the bootstrap samples of w1, [B].
    """
    ks, w1 = distances(real, other)
    ks_samples, w1_samples = distances(real, other, weights, weights)
    return (Distance(float(ks[0]), float(np.nanstd(ks_samples))),
            Distance(float(w1[0]), float(np.nanstd(w1_samples))), w1_samples)


def split_distances(real, first):
    """The distances between two samples of real galaxies as large as the whole sample.

    Distances of halves are scaled by 1/sqrt(2): in the absence of a difference a distance falls as
    the inverse root of the sample size.

    Parameters:
        real:       The statistic, shape [N].
        first:      Halves, bool [B, N] (`halves`).

    Returns:
        (ks, w1), each [B].
    """
    ks, w1 = distances(real, real, first.astype(float), (~first).astype(float))
    return ks / np.sqrt(2), w1 / np.sqrt(2)


def floor(real, first):
    """How large `split_distances` are.

    Parameters:
        real:       The statistic, shape [N].
        first:      Halves, bool [B, N] (`halves`).

    Returns:
        a dict of ``ks`` and ``w1``, each (median, `LEVEL` quantile) over the splits.
    """
    ks, w1 = split_distances(real, first)
    return {name: tuple(float(q) for q in np.nanquantile(found, [0.5, LEVEL]))
            for name, found in [("ks", ks), ("w1", w1)]}


def auc(features, labels, groups, seed, folds=5, bootstraps=200):
    """The area under the ROC curve of a classifier between two samples; 0.5 is chance.

    Gradient-boosted trees, cross-validated with whole groups in one fold.  Scores are ranked
    within their fold before they are pooled, since folds differ in their level.

    Parameters:
        features:   Shape [N, F]; may be NaN.
        labels:     Which sample a row belongs to, bool [N].
        groups:     The group of each row, int [N].
        seed:       Random seed.
        folds:      Number of folds; fewer where there are fewer groups.
        bootstraps: Number of bootstrap samples of groups for the error.

    Returns:
        a `Distance`; NaN where there are not enough groups for two folds or a sample is empty.
        The error leaves out that another training set makes another classifier: between samples
        that do not differ, areas scatter by 1.2 times as much.
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
        # Trees as small as these gain nothing by threads, which where other programs run wait for
        # each other a hundred times as long as they work.
        with threadpool_limits(1):
            classifier.fit(features[train], labels[train])
            score = classifier.predict_proba(features[test])[:, 1]
        scores[test] = (rankdata(score) - 0.5) / len(test)
    scored = np.isfinite(scores)
    scores, labels, groups = scores[scored], labels[scored], groups[scored]
    samples = [_area(scores, labels, w) for w in bootstrap_weights(groups, bootstraps, seed)]
    return Distance(float(_area(scores, labels, np.ones(len(scores)))), float(np.nanstd(samples)))


def _area(scores, labels, weights):
    """Weighted area under the ROC curve; ties count half."""
    levels, level = np.unique(scores, return_inverse=True)
    positive = np.bincount(level, weights * labels, len(levels))
    negative = np.bincount(level, weights * ~labels, len(levels))
    below = np.cumsum(negative) - negative
    with np.errstate(invalid="ignore"):
        return (positive * (below + 0.5 * negative)).sum() / (positive.sum() * negative.sum())
