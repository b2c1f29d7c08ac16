"""Maps of embeddings in two dimensions, and which of their numbers carry information."""

__all__ = ["Importance", "importance", "map_of", "placed", "principal_components"]

import dataclasses
from typing import Literal

import numpy as np
from galsim import GalSimError
from numpy.typing import ArrayLike, NDArray

Method = Literal["tsne", "umap"]
LEAST = 10
"""Smallest number of rows of which a map is made."""
FOLDS = 5
"""Parts of a cross-validation."""


def map_of(embedding: ArrayLike, method: Method = "tsne", seed: int = 1) -> NDArray[np.float64]:
    """Places of embeddings in two dimensions, where similar ones are close to each other.

    Parameters:
        embedding:  [N, D].
        method:     ``tsne`` (van der Maaten & Hinton 2008), or ``umap`` (McInnes et al. 2018,
                    arXiv:1802.03426), which needs the package umap-learn.
        seed:       Seed of the map.

    Returns:
        [N, 2].

    Raises:
        galsim.GalSimError: if there are too few rows, or umap-learn is missing.

    Example::

        >>> rng = np.random.default_rng(1)
        >>> map_of(rng.normal(size=(30, 4))).shape
        (30, 2)
    """
    values = np.asarray(embedding, float)
    if len(values) < LEAST:
        raise GalSimError(f"A map needs at least {LEAST} rows; the table has {len(values)}.")
    deviation = values.std(axis=0)
    # Numbers that hardly vary say nothing.
    values = (values - values.mean(axis=0)) / np.maximum(
        deviation, max(1e-3 * deviation.max(), 1e-30))
    if method == "umap":
        try:
            from umap import UMAP
        except ImportError as err:
            raise GalSimError("The method umap needs the package umap-learn. Install the extra "
                              "'umap' of galsim-deep, or use --method tsne.") from err
        return np.asarray(UMAP(random_state=seed).fit_transform(values), float)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(values) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(
        values).astype(float)


def placed(places: ArrayLike, cells: int = 24) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows whose pictures fill a map without overlap: for each cell, the one closest to its middle.

    Parameters:
        places:     [N, 2].
        cells:      Cells on a side of the map.

    Returns:
        (rows [M]; their cells (x, y), [M, 2]).

    >>> rows, at = placed([[0.0, 0.0], [1.0, 1.0], [0.9, 1.0]], cells=2)
    >>> rows.tolist(), at.tolist()
    ([0, 2], [[0, 0], [1, 1]])
    """
    points = np.asarray(places, float)
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / np.maximum(high - low, 1e-30) * cells
    cell = np.minimum(scaled.astype(int), cells - 1)
    distance = np.hypot(*(scaled - cell - 0.5).T)
    best: dict[tuple[int, int], int] = {}
    for row in np.argsort(distance, kind="stable")[::-1]:
        best[tuple(cell[row].tolist())] = int(row)
    rows = np.array(sorted(best.values()), int)
    return rows, cell[rows]


@dataclasses.dataclass(frozen=True, eq=False)
class Importance:
    """How much each number of an embedding tells of a column.

    >>> Importance(np.array([0.9, 0.1]), np.array([1.0, 2.0]), 0.8).score
    0.8
    """

    share: NDArray[np.float64]
    """Importance of each number in a random forest, [D]; the sum is one."""
    size: NDArray[np.float64]
    """Mean absolute value of each number, [D]."""
    score: float
    """Share of the variance of the column that the forest explains in galaxies that it was not
    fitted on, by cross-validation."""


def importance(embedding: ArrayLike, column: ArrayLike, seed: int = 1,
               source: ArrayLike | None = None) -> Importance:
    """Which numbers of embeddings tell of a column (Andrianomena 2023, section 4.2, figure 7).

    Parameters:
        embedding:  [N, D].
        column:     Finite numbers, [N].
        seed:       Seed of the random forest.
        source:     Number of the galaxy of each row, [N]: the score is for other galaxies than
                    those that the forest was fitted on.  [default: all are different]

    Raises:
        galsim.GalSimError: if the column has values that are not finite numbers, or there are too
            few rows or galaxies.

    Example::

        >>> rng = np.random.default_rng(1)
        >>> values = rng.normal(size=(200, 3))
        >>> found = importance(values, values[:, 1])
        >>> int(found.share.argmax()), found.score > 0.9
        (1, True)
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.metrics import r2_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    values, target = np.asarray(embedding, float), np.asarray(column)
    if target.dtype.kind not in "iufb" or not np.isfinite(target.astype(float)).all():
        raise GalSimError("The importance of the numbers of an embedding is that for a column of "
                          "finite numbers; this column has others.")
    if len(values) < LEAST:
        raise GalSimError(f"At least {LEAST} rows are needed; the table has {len(values)}.")
    galaxies = np.arange(len(values)) if source is None else np.asarray(source)
    if len(np.unique(galaxies)) < FOLDS:
        raise GalSimError(f"At least {FOLDS} galaxies are needed; the table has "
                          f"{len(np.unique(galaxies))}.")
    forest = RandomForestRegressor(200, max_features="sqrt", random_state=seed)
    predicted = cross_val_predict(forest, values, target.astype(float), groups=galaxies,
                                  cv=GroupKFold(FOLDS))
    forest.fit(values, target.astype(float))
    return Importance(forest.feature_importances_, np.abs(values).mean(axis=0),
                      float(r2_score(target.astype(float), predicted)))


def principal_components(embedding: ArrayLike) -> NDArray[np.float64]:
    """Share of the variance in the first 1, 2, 3, ... principal components, [min(N, D)].

    >>> principal_components([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.5], [0.0, -0.5]]).round(2).tolist()
    [0.8, 1.0]
    """
    values = np.asarray(embedding, float)
    singular = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    variance = singular**2
    return np.cumsum(variance) / max(float(variance.sum()), 1e-300)
