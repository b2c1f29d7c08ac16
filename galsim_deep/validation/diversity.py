"""Whether two samples cover the same variety of galaxies.

Precision and recall are those of Kynkaanniemi et al. (2019, arXiv:1904.06991), density and coverage
those of Naeem et al. (2020, arXiv:2002.09797), and the Vendi score that of Friedman & Dieng (2023,
arXiv:2210.02410).
"""

__all__ = ["NEIGHBOURS", "cover", "standardised", "vendi_score"]

import numpy as np

NEIGHBOURS = 2
"""The sphere around a galaxy reaches to its neighbour of this number.  For two samples of one
distribution the coverage is then 0.75 (1 - 2^-k, Naeem et al. 2020), so that it can fall and rise;
with 5 it would be 0.97."""
LARGEST = 4.0
"""Standardised features are clipped to this, so that one failed measurement does not decide."""


def standardised(features: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Features in units of their spread in a reference sample.

    Parameters:
        features:   Shape [N, F].
        reference:  Shape [M, F].

    Returns:
        float64 [N, F]: minus the median of the reference, over half the distance between its 16th
        and 84th percentiles, clipped to -4 to 4.
    """
    low, middle, high = np.nanpercentile(reference, (16, 50, 84), axis=0)
    spread = np.where(high > low, 0.5 * (high - low), 1.0)
    return np.clip((features - middle) / spread, -LARGEST, LARGEST)


def cover(real: np.ndarray, generated: np.ndarray, neighbours: int = NEIGHBOURS
          ) -> dict[str, float]:
    """Precision, recall, density and coverage of a generated sample.

    The numbers depend on the sizes of the samples, so they should be compared with those of real
    samples of the same sizes.

    Parameters:
        real, generated:    Features, shapes [N, F] and [M, F].
        neighbours:         The sphere around each galaxy reaches to this neighbour.

    Returns:
        a dict of ``precision`` (share of the generated galaxies within the sphere of a real one),
        ``recall`` (the same with real and generated exchanged), ``density`` (number of spheres of
        real galaxies that a generated one is in, over ``neighbours``) and ``coverage`` (share of
        the real galaxies with a generated one in their sphere); NaN if a sample has no more than
        ``neighbours`` galaxies.

    Example:

        >>> sample = np.random.default_rng(1).normal(size=(50, 3))
        >>> round(cover(sample, sample + 1e-9)["coverage"], 2), cover(sample, sample + 9)["recall"]
        (1.0, 0.0)
    """
    if min(len(real), len(generated)) <= neighbours:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), np.nan)
    between = _distances(real, generated)
    around_real = _radii(real, neighbours)[:, None]
    around_generated = _radii(generated, neighbours)[None, :]
    inside = between < around_real
    return dict(precision=float(inside.any(axis=0).mean()),
                recall=float((between < around_generated).any(axis=1).mean()),
                density=float(inside.sum(axis=0).mean() / neighbours),
                coverage=float(inside.any(axis=1).mean()))


def vendi_score(features: np.ndarray) -> float:
    """The effective number of different galaxies in a sample.

    The exponential of the entropy of the eigenvalues of a similarity matrix.  The similarity is a
    Gaussian of the distance, whose variance is the number of features.

    Parameters:
        features:   Standardised, shape [N, F].

    Returns:
        between 1, if all are the same, and N.

    Example:

        >>> round(vendi_score(np.zeros((10, 3))), 3), round(vendi_score(100 * np.eye(10)), 3)
        (1.0, 10.0)
    """
    if not len(features):
        return np.nan
    similarity = np.exp(-0.5 * _distances(features, features)**2 / features.shape[1])
    values = np.linalg.eigvalsh(similarity / len(features))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(((a[:, None] - b[None])**2).sum(axis=2))


def _radii(sample: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance of each galaxy to its neighbour of a number; itself is number zero."""
    return np.sort(_distances(sample, sample), axis=1)[:, neighbours]
