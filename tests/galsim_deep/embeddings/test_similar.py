"""Nearest neighbours."""

import importlib.util

import galsim
import numpy as np
import pytest

from galsim_deep.embeddings import find_similar
from galsim_deep.embeddings.similar import same_class_share


@pytest.fixture
def vectors():
    return np.random.default_rng(1).normal(size=(30, 4))


def test_cosine_against_its_definition(vectors):
    """Andrianomena 2023, eq. 4.1."""
    found = find_similar(vectors[:3], vectors[3:], count=4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit[:3] @ unit[3:].T
    order = np.argsort(-similarity, axis=1)[:, :4]
    np.testing.assert_array_equal(found.rows, order)
    np.testing.assert_allclose(found.similarity, np.take_along_axis(similarity, order, 1))


def test_cosine_does_not_depend_on_lengths(vectors):
    found = find_similar(vectors[:3], vectors[3:])
    other = find_similar(7 * vectors[:3], vectors[3:] * np.linspace(1, 9, 27)[:, None])
    np.testing.assert_array_equal(found.rows, other.rows)


def test_distance(vectors):
    found = find_similar(vectors[:2], vectors[2:], count=3, metric="euclidean")
    distance = np.linalg.norm(vectors[:2, None] - vectors[2:], axis=2)
    np.testing.assert_array_equal(found.rows, np.argsort(distance, axis=1)[:, :3])
    np.testing.assert_allclose(found.similarity, -np.sort(distance, axis=1)[:, :3])


def test_whitened_neighbours_do_not_depend_on_units_or_mixtures(vectors):
    """Principal components of unit variance are the same, but for a rotation, after any linear
    change of the embeddings."""
    mixture = np.random.default_rng(2).normal(size=(4, 4)) * [1, 10, 0.1, 100]
    found, mixed = (find_similar(values[:3], values[3:], metric="whitened")
                    for values in (vectors, vectors @ mixture + 7.0))
    np.testing.assert_array_equal(found.rows, mixed.rows)
    np.testing.assert_allclose(found.similarity, mixed.similarity, atol=1e-6)
    with_constant = np.column_stack([vectors, np.full(30, 3.0)])
    same = find_similar(with_constant[:3], with_constant[3:], metric="whitened")
    np.testing.assert_array_equal(found.rows, same.rows)


def test_embeddings_on_a_line_have_no_whitened_angle(vectors):
    line = vectors[:, :1] * [1.0, 2.0]
    with pytest.raises(galsim.GalSimError, match="fewer than two directions"):
        find_similar(line, line, metric="whitened")


@pytest.mark.parametrize("metric", ["cosine", "whitened", "euclidean"])
def test_a_stamp_is_not_its_own_neighbour(vectors, metric):
    # Exact copies make it uncertain which one is found first.
    copies = np.concatenate([vectors, vectors[:5]])
    rows = np.arange(len(copies))
    found = find_similar(copies, copies, 3, metric, rows, rows)
    assert found.rows.shape == (35, 3) and not np.any(found.rows == rows[:, None])
    assert set(found.rows[:5, 0]) == set(range(30, 35))


def test_copies_of_a_galaxy_are_not_its_neighbours(vectors):
    """Three turned copies of each, which are the nearest by far."""
    copies = np.concatenate([vectors, vectors + 1e-6, vectors - 1e-6])
    galaxy = np.tile(np.arange(30), 3)
    found = find_similar(copies[:30], copies, 4, "cosine", galaxy[:30], galaxy)
    assert not np.any(galaxy[found.rows] == np.arange(30)[:, None])
    alone = find_similar(vectors, vectors, 1, "cosine", np.arange(30), np.arange(30))
    np.testing.assert_array_equal(galaxy[found.rows[:, 0]], alone.rows[:, 0])


def test_one_number_has_no_angle(vectors):
    with pytest.raises(galsim.GalSimError, match="Use the metric 'euclidean'"):
        find_similar(vectors[:, :1], vectors[:, :1])
    assert find_similar(vectors[:, :1], vectors[:, :1], metric="euclidean").rows.shape == (30, 5)


@pytest.mark.parametrize("count, words", [
    (0, "at least one"), (31, "the catalogue has 30 rows"),
    (30, "up to 1 of which are of the same galaxy")])
def test_too_many_neighbours(vectors, count, words):
    own = np.arange(30) if count == 30 else None
    with pytest.raises(galsim.GalSimError, match=words):
        find_similar(vectors, vectors, count, query_source=own, source=own)


def test_vectors_of_another_length(vectors):
    with pytest.raises(galsim.GalSimError, match="have 4 numbers, those of the catalogue 3"):
        find_similar(vectors, vectors[:, :3])


def test_faiss_is_optional(vectors):
    if importlib.util.find_spec("faiss") is None:
        with pytest.raises(galsim.GalSimError, match="extra 'faiss'"):
            find_similar(vectors, vectors, faiss=True)
        return
    found, exact = (find_similar(vectors[:3], vectors, faiss=faiss) for faiss in (True, False))
    np.testing.assert_array_equal(found.rows, exact.rows)


def test_share_of_the_same_class(table):
    known = table(200)
    share, error = same_class_share(known.embedding, known.column("kind"), metric="euclidean")
    assert share > 0.95 and error < 0.02
    mixed = np.random.default_rng(1).permutation(known.column("kind"))
    share, error = same_class_share(known.embedding, mixed)
    assert abs(share - 0.5) < 4 * error
