"""Nearest neighbours: which stamps look like this one."""

__all__ = ["Neighbours", "find_similar", "same_class_share"]

import dataclasses
from typing import Any, Literal

import numpy as np
from galsim import GalSimError
from numpy.typing import ArrayLike, NDArray

Metric = Literal["cosine", "whitened", "euclidean"]
COMPONENTS = 30
"""Principal components that are compared by the metric ``whitened``."""


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest neighbours of some stamps.

    >>> Neighbours(np.array([[4, 2]]), np.array([[0.9, 0.7]])).rows[0].tolist()
    [4, 2]
    """

    rows: NDArray[np.int64]
    """Rows of the catalogue, the nearest first, [Q, K]."""
    similarity: NDArray[np.float64]
    """Cosine of the angle between embeddings (Andrianomena 2023, eq. 4.1) or their whitened
    components, or minus the Euclidean distance, [Q, K]."""


def find_similar(query: ArrayLike, catalogue: ArrayLike, count: int = 5,
                 metric: Metric = "cosine", query_source: ArrayLike | None = None,
                 source: ArrayLike | None = None, faiss: bool = False) -> Neighbours:
    """Find the nearest neighbours of embeddings in a catalogue of embeddings.

    Parameters:
        query:      Embeddings, [Q, D].
        catalogue:  Embeddings, [N, D].
        count:      Number of neighbours, K.
        metric:     ``cosine``: the direction of the embeddings counts (Andrianomena 2023,
                    eq. 4.1); ``whitened``: the direction of the first `COMPONENTS` principal
                    components of the catalogue, each in units of its standard deviation, so that
                    what varies most, such as brightness, does not decide alone; ``euclidean``:
                    their distance.
        query_source, source:   Numbers or names of the galaxies of the query, [Q], and of the
                    catalogue, [N]: stamps of one galaxy, such as turned copies, are not its
                    neighbours.  [default: all stamps may be]
        faiss:      Whether to use faiss, for catalogues of millions.

    Returns:
        `Neighbours`.

    Raises:
        galsim.GalSimError: if lengths differ, the catalogue has too few rows, embeddings of one
            number are compared by cosine, or faiss is missing.

    Example::

        >>> found = find_similar([[1.0, 0.1]], [[0.0, 1.0], [5.0, 0.0], [1.0, 1.0]], count=2)
        >>> found.rows.tolist(), found.similarity.round(2).tolist()
        ([[1, 2]], [[1.0, 0.77]])
    """
    queries, others = (np.atleast_2d(np.asarray(values, float)) for values in (query, catalogue))
    if queries.shape[1] != others.shape[1]:
        raise GalSimError(f"The embeddings of the query have {queries.shape[1]} numbers, those of "
                          f"the catalogue {others.shape[1]}. Embed both with the same module.")
    if metric != "euclidean" and queries.shape[1] == 1:
        raise GalSimError("Embeddings of one number, such as log-likelihoods, have no angle "
                          "between them. Use the metric 'euclidean'.")
    copies = 0 if source is None else int(np.unique(source, return_counts=True)[1].max())
    if count < 1 or count + copies > len(others):
        raise GalSimError(f"{count} neighbours were asked for, and the catalogue has {len(others)} "
                          "rows" + (f", up to {copies} of which are of the same galaxy" if copies
                                    else "") + ". Ask for fewer, at least one.")
    if metric == "whitened":
        queries, others = _whitened(queries, others)
    if metric != "euclidean":
        queries, others = _unit(queries), _unit(others)
    rows, distance = (_faiss if faiss else _exact)(queries, others, count + copies)
    if source is not None and query_source is not None:
        own = np.asarray(source)[rows] == np.asarray(query_source)[:, None]
        # Those of other galaxies first, in their order.
        order = np.argsort(own, axis=1, kind="stable")[:, :count]
        rows, distance = (np.take_along_axis(values, order, axis=1) for values in (rows, distance))
    similarity = -distance if metric == "euclidean" else 1 - 0.5 * distance**2
    return Neighbours(rows, similarity)


def _whitened(queries: NDArray[np.float64], others: NDArray[np.float64]
              ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The principal components of the catalogue with unit variance, of both sets."""
    mean = others.mean(axis=0)
    deviation, directions = np.linalg.svd(others - mean, full_matrices=False)[1:]
    deviation /= np.sqrt(len(others))
    # Numbers that do not vary would be divided by nothing.
    used = np.flatnonzero(deviation > 1e-6 * max(deviation[0], 1e-30))[:COMPONENTS]
    if len(used) < 2:
        raise GalSimError("The embeddings of the catalogue vary in fewer than two directions, and "
                          "have no angle between them. Use the metric 'euclidean'.")
    whitening = directions[used].T / deviation[used]
    return (queries - mean) @ whitening, (others - mean) @ whitening


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-30)


def _exact(queries: NDArray[np.float64], others: NDArray[np.float64], count: int) -> Any:
    from sklearn.neighbors import NearestNeighbors

    distance, rows = NearestNeighbors(n_neighbors=count).fit(others).kneighbors(queries)
    return rows, distance


def _faiss(queries: NDArray[np.float64], others: NDArray[np.float64], count: int) -> Any:
    try:
        import faiss
    except ImportError as err:
        raise GalSimError("The package faiss is missing. Install the extra 'faiss' of "
                          "galsim-deep, or search without --faiss, which is slower for millions "
                          "of rows.") from err
    index = faiss.IndexFlatL2(others.shape[1])
    index.add(others.astype(np.float32))
    squared, rows = index.search(queries.astype(np.float32), count)
    return rows, np.sqrt(np.clip(squared, 0, None)).astype(float)


def same_class_share(embedding: ArrayLike, label: ArrayLike, count: int = 5,
                     metric: Metric = "cosine", seed: int = 1) -> tuple[float, float]:
    """Of the nearest neighbours of labelled stamps, the share that has their class.

    Parameters:
        embedding:  [N, D].
        label:      [N].
        count:      Number of neighbours.
        metric:     As for `find_similar`.
        seed:       Seed of the bootstrap samples.

    Returns:
        (mean over the stamps, its error from bootstrap samples of them).

    >>> same_class_share([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]], list("aabb"), count=1)
    (1.0, 0.0)
    """
    values, labels = np.asarray(embedding, float), np.asarray(label)
    own = np.arange(len(values))
    found = find_similar(values, values, count, metric, own, own)
    shares = (labels[found.rows] == labels[:, None]).mean(axis=1)
    rng = np.random.default_rng([seed, 12])
    means = [shares[rng.integers(len(shares), size=len(shares))].mean() for _ in range(200)]
    return float(shares.mean()), float(np.std(means))
