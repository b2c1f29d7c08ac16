"""How much of what galaxies differ by goes with their class: the share of the variance explained.

Eta squared of an analysis of variance (Fisher 1925; Pearson's correlation ratio): the sum of
squares between the classes over that of all galaxies.  It is 0 where all classes have the same mean
and 1 where a class says all there is to say.
"""

__all__ = ["explained", "explained_by_chance"]

import numpy as np


def explained(values, classes, weights=None):
    """The share of the variance that classes explain, for many sets of weights at once.

    Parameters:
        values:     A statistic, finite, shape [N].
        classes:    The class of each galaxy, int [N].
        weights:    Shape [B, N].  [default: ones, B = 1]

    Returns:
        float64 [B]; NaN where the values do not vary.
    """
    values = np.asarray(values, float)
    if weights is None:
        weights = np.ones((1, len(values)))
    if not len(values) or np.ptp(values) == 0:
        return np.full(len(weights), np.nan)
    # In units of their own scatter around their mean: nothing is lost to rounding.
    values = (values - values.mean()) / values.std()
    names, member = np.unique(classes, return_inverse=True)
    belongs = (member[:, None] == np.arange(len(names))).astype(float)
    count = weights @ belongs
    total = weights @ (belongs * values[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        common = total.sum(axis=1) ** 2 / count.sum(axis=1)
        between = np.where(count > 0, total**2 / count, 0.0).sum(axis=1) - common
        around = weights @ values**2 - common
        share = np.clip(between / around, 0.0, 1.0)
    return np.where(around > 1e-12 * count.sum(axis=1), share, np.nan)


def explained_by_chance(values, classes, groups, count, seed):
    """The share of the variance that classes of the same sizes explain if dealt out at random.

    Stamps of one source are alike and often of one class, so that few sources make large shares by
    chance.  Sources are therefore shuffled and not stamps: the classes in one random order of the
    sources are dealt to the galaxies in another.  Where each galaxy is a source of its own, that is
    a random permutation, and the mean is (K - 1) / (N - 1) for K classes and N galaxies.

    Parameters:
        values:     A statistic, finite, shape [N].
        classes:    The class of each galaxy, int [N].
        groups:     The source of each galaxy, int [N].
        count:      How often to deal, B.
        seed:       Random seed.

    Returns:
        float64 [B]; NaN where the values do not vary.
    """
    values, classes = np.asarray(values, float), np.asarray(classes)
    _, member = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)

    def in_random_order():
        # Galaxies of a source stay together, in random order too.
        place = rng.permutation(member.max(initial=-1) + 1)[member]
        return np.lexsort((rng.random(len(member)), place))

    found = np.empty(count)
    for n in range(count):
        dealt = np.empty_like(classes)
        dealt[in_random_order()] = classes[in_random_order()]
        found[n] = explained(values, dealt)[0]
    return found
