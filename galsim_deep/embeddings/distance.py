"""The Frechet distance between two sets of embeddings, with its floor for finite samples."""

__all__ = ["Distance", "compare_sets", "frechet_distance"]

import dataclasses

import numpy as np
from galsim import GalSimError
from numpy.typing import ArrayLike, NDArray

BOOTSTRAPS = 50
"""Bootstrap samples, and random halves."""


def frechet_distance(first: ArrayLike, second: ArrayLike) -> float:
    """The squared Frechet distance between Gaussians fitted to two sets (Heusel et al. 2017,
    arXiv:1706.08500, eq. 6).

    It is ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` with the means and the covariances of the
    sets.

    Parameters:
        first:      [N, D].
        second:     [M, D].

    Raises a `galsim.GalSimError` if a set has fewer than two members, or the lengths differ.

    >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
    9.0
    """
    sets = [np.atleast_2d(np.asarray(values, float)) for values in (first, second)]
    if min(len(values) for values in sets) < 2 or sets[0].shape[1] != sets[1].shape[1]:
        raise GalSimError(
            "A Frechet distance needs two sets of at least two embeddings of the same length; "
            f"these have the shapes {sets[0].shape} and {sets[1].shape}.")
    means = [values.mean(axis=0) for values in sets]
    covariances = [np.atleast_2d(np.cov(values, rowvar=False)) for values in sets]
    # With the symmetric square root R of C1: tr((C1 C2)^(1/2)) = tr((R C2 R)^(1/2)), which is
    # defined for singular matrices too.
    root = _square_root(covariances[0])
    eigenvalues = np.linalg.eigvalsh(root @ covariances[1] @ root)
    cross = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    difference = means[0] - means[1]
    distance = difference @ difference + np.trace(covariances[0]) + np.trace(covariances[1])
    return float(max(distance - 2 * cross, 0.0))


def _square_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


@dataclasses.dataclass(frozen=True)
class Distance:
    """The distance between real and generated embeddings.

    >>> Distance(value=4.0, error=0.5, floor=1.0, floor_error=0.2).excess
    3.0
    """

    value: float
    """Squared Frechet distance between a random half of the real embeddings and the other half of
    the generated ones, relative to the sum of the variances of the real embeddings; the mean over
    random halves."""
    error: float
    """Its error, from bootstrap samples of the sources."""
    floor: float
    """The same between two random halves of the real embeddings.  Sets of this size, of the same
    distribution, are so far apart by chance; the distance falls about as 1 / N."""
    floor_error: float
    """The scatter of the floor."""

    @property
    def excess(self) -> float:
        """The distance above the floor."""
        return self.value - self.floor


def compare_sets(real: ArrayLike, generated: ArrayLike, sources: ArrayLike | None = None,
                 seed: int = 1) -> Distance:
    """The Frechet distance between real and generated embeddings, with its floor and error.

    Parameters:
        real:       [N, D].
        generated:  [N, D], row by row the counterparts of the real ones.
        sources:    Number of the galaxy of each row, [N]; rows of one source are not independent.
                    [default: all are different]
        seed:       Seed of the random halves and the bootstrap samples.

    Returns:
        a `Distance`.

    Raises a `galsim.GalSimError` if there are fewer than four sources.

    >>> rng = np.random.default_rng(1)
    >>> same = compare_sets(rng.normal(size=(400, 4)), rng.normal(size=(400, 4)))
    >>> other = compare_sets(rng.normal(size=(400, 4)), rng.normal(1, 1, size=(400, 4)))
    >>> abs(same.excess) < 3 * same.floor_error, other.excess > 10 * other.floor_error
    (True, True)
    """
    real, generated = np.asarray(real, float), np.asarray(generated, float)
    numbers = np.arange(len(real)) if sources is None else np.asarray(sources)
    names, inverse = np.unique(numbers, return_inverse=True)
    if len(names) < 4:
        raise GalSimError(f"There are {len(names)} sources; at least four are needed to compare "
                          "embeddings.")
    unit = max(float(real.var(axis=0).sum()), 1e-30)
    rng = np.random.default_rng([seed, 11])
    values, halves, draws = [], [], []
    for _ in range(BOOTSTRAPS):
        order = rng.permutation(len(names))
        first = np.isin(inverse, order[:len(names) // 2])
        # All sets have half of the members, since a distance depends on their number.
        halves.append(frechet_distance(real[first], real[~first]) / unit)
        values += [frechet_distance(real[first], generated[~first]) / unit,
                   frechet_distance(real[~first], generated[first]) / unit]
        counts = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        rows = np.repeat(np.arange(len(real)), counts[inverse])
        draws.append(frechet_distance(real[rows], generated[rows]) / unit)
    return Distance(float(np.mean(values)), float(np.std(draws)), float(np.mean(halves)),
                    float(np.std(halves)))
