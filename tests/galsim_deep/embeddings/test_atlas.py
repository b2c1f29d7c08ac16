"""Maps of embeddings."""

import sys

import galsim
import numpy as np
import pytest

from galsim_deep.embeddings.atlas import importance, map_of, placed, principal_components


def test_similar_embeddings_are_close(table):
    known = table(80)
    places = map_of(known.embedding)
    kind = known.column("kind")
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :3]
    assert np.mean(kind[nearest] == kind[:, None]) > 0.7
    np.testing.assert_array_equal(places, map_of(known.embedding))


def test_numbers_that_are_all_the_same(table):
    values = np.column_stack([table(20).embedding, np.full(20, 3.0)])
    assert np.all(np.isfinite(map_of(values)))


def test_too_few_rows():
    with pytest.raises(galsim.GalSimError, match="at least 10 rows; the table has 9"):
        map_of(np.zeros((9, 2)))


def test_umap_is_optional(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(galsim.GalSimError, match="needs the package umap-learn"):
        map_of(table().embedding, "umap")


def test_pictures_do_not_overlap():
    places = np.random.default_rng(1).random((500, 2))
    rows, cells = placed(places, 8)
    assert len({tuple(cell) for cell in cells}) == len(cells) == 64
    assert len(set(rows)) == 64 and cells.min() == 0 and cells.max() == 7
    # Each is close to its cell.
    low, high = places.min(axis=0), places.max(axis=0)
    middle = low + (cells + 0.5) / 8 * (high - low)
    assert np.abs(places[rows] - middle).max() < 0.08


def test_importance_of_the_number_that_matters():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(300, 5)) * [1, 5, 1, 1, 1]
    found = importance(values, np.exp(values[:, 3]))
    assert found.share.argmax() == 3 and found.share.sum() == pytest.approx(1)
    assert found.size.argmax() == 1 and found.score > 0.7
    nothing = importance(values, rng.normal(size=300))
    assert nothing.score < 0.1


def test_copies_of_a_galaxy_are_not_other_galaxies():
    """A forest that has learned galaxies by heart explains nothing in others."""
    rng = np.random.default_rng(2)
    source = np.repeat(np.arange(60), 5)
    values = rng.normal(size=(60, 4))[source] + 0.01 * rng.normal(size=(300, 4))
    target = rng.normal(size=60)[source]
    assert importance(values, target).score > 0.8
    assert importance(values, target, source=source).score < 0.2
    with pytest.raises(galsim.GalSimError, match="5 galaxies are needed; the table has 3"):
        importance(values, target, source=source % 3)


def test_columns_without_numbers(table):
    for column in (table().column("kind"), np.full(40, np.nan)):
        with pytest.raises(galsim.GalSimError, match="finite numbers"):
            importance(table().embedding, column)


def test_principal_components():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2000, 3)) * [3.0, 1.0, 0.1]
    found = principal_components(values @ np.linalg.qr(rng.normal(size=(3, 3)))[0])
    np.testing.assert_allclose(found, np.cumsum([9, 1, 0.01]) / 10.01, atol=0.02)


def test_numbers_that_do_not_vary_do_not_matter(table):
    known = table(60)
    constant = np.c_[known.embedding, np.full(60, 1e4)]
    np.testing.assert_allclose(map_of(constant), map_of(known.embedding), atol=2.0)
