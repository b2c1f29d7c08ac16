"""The share of the variance of a statistic that the classes of galaxies explain.

Eta squared of an analysis of variance (Fisher 1925; the square of Pearson's correlation ratio): the
sum of squares between the classes over that of all galaxies.  It is 0 if all classes have the same
mean, and 1 if all galaxies of a class have the same value.
"""

__all__ = ["explained", "explained_by_chance"]

import numpy as np
from numpy.typing import ArrayLike

from .two_sample import Seed


def explained(values: ArrayLike, classes: ArrayLike, weights: np.ndarray | None = None
              ) -> np.ndarray:
    """The share of the variance that classes explain, for many sets of weights at once.

    Parameters:
        values:     A statistic, finite, shape [N].
        classes:    The class of each galaxy, int [N].
        weights:    Shape [B, N].  [default: ones, B = 1]

    Returns:
        float64 [B]; NaN if the values do not vary.

    Example::

        >>> explained([1.0, 1.0, 3.0, 3.0], [0, 0, 1, 1])
        array([1.])
    """
    numbers = np.asarray(values, float)
    if weights is None:
        weights = np.ones((1, len(numbers)))
    if not len(numbers) or np.ptp(numbers) == 0:
        return np.full(len(weights), np.nan)
    # Standardised, so that differences of large numbers do not lose digits.
    numbers = (numbers - numbers.mean()) / numbers.std()
    names, member = np.unique(classes, return_inverse=True)
    belongs = (member[:, None] == np.arange(len(names))).astype(float)
    count = weights @ belongs
    total = weights @ (belongs * numbers[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        common = total.sum(axis=1) ** 2 / count.sum(axis=1)
        between = np.where(count > 0, total**2 / count, 0.0).sum(axis=1) - common
        around = weights @ numbers**2 - common
        share = np.clip(between / around, 0.0, 1.0)
    return np.where(around > 1e-12 * count.sum(axis=1), share, np.nan)


def explained_by_chance(values: ArrayLike, classes: ArrayLike, groups: ArrayLike, count: int,
                        seed: Seed) -> np.ndarray:
    """The share of the variance that classes of the same sizes explain if assigned at random.

    Stamps of one source are similar and often of the same class, so that a small number of sources
    gives large shares by chance.  Therefore whole sources are shuffled, not stamps: galaxies are
    ordered by two random orders of the sources, and the classes in the first order are assigned to
    the galaxies in the second.  If each galaxy is a source of its own, this is a random
    permutation, and the mean is (K - 1) / (N - 1) for K classes and N galaxies.

    Parameters:
        values:     A statistic, finite, shape [N].
        classes:    The class of each galaxy, int [N].
        groups:     The source of each galaxy, int [N].
        count:      Number of random assignments B.
        seed:       Random seed.

    Returns:
        float64 [B]; NaN if the values do not vary.
    """
    values, classes = np.asarray(values, float), np.asarray(classes)
    _, member = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)

    def random_order() -> np.ndarray:
        # Galaxies of a source stay together, in random order among themselves.
        position = rng.permutation(member.max(initial=-1) + 1)[member]
        return np.lexsort((rng.random(len(member)), position))

    shares = np.empty(count)
    for n in range(count):
        shuffled = np.empty_like(classes)
        shuffled[random_order()] = classes[random_order()]
        shares[n] = explained(values, shuffled)[0]
    return shares
