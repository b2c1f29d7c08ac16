"""Tables of embeddings on disk."""

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.embeddings import EmbeddingTable, read_embeddings, read_stamps
from galsim_deep.embeddings.tables import table_of


@pytest.mark.parametrize("suffix", ["parquet", "fits"])
def test_what_is_written_is_read(suffix, table, tmp_path):
    original = table(flag=np.arange(40) % 3)
    original.table.meta["MODULE"] = "first_mpcc"
    path = tmp_path / f"table.{suffix}"
    original.write(path)
    found = read_embeddings(path)
    np.testing.assert_array_equal(found.embedding, original.embedding)
    np.testing.assert_array_equal(found.thumbnails, original.thumbnails)
    np.testing.assert_array_equal(found.names, original.names)
    assert set(found.columns) == {"kind", "value", "flag"}
    np.testing.assert_array_equal(found.column("kind"), original.column("kind"))
    assert found.column("kind").dtype.kind == "U"
    assert found.table.meta["MODULE"] == "first_mpcc"


def test_other_programs_can_read_parquet(table, tmp_path):
    pandas = pytest.importorskip("pandas")
    table().write(tmp_path / "table.parquet")
    frame = pandas.read_parquet(tmp_path / "table.parquet")
    np.testing.assert_array_equal(np.stack(frame["embedding"]), table().embedding)
    assert frame["kind"].tolist()[:2] == ["a", "b"]


def test_a_table_of_stamps(embedder, sources):
    stamps = read_stamps(sources, embedder.card)
    found = table_of(embedder, stamps)
    np.testing.assert_array_equal(found.embedding, embedder.embed_stamps(stamps))
    assert found.thumbnails.shape == (40, 48, 48, 3)
    assert {"label", "size", "flux_density"} <= set(found.columns)
    assert found.table.meta["MODULE"] == "first_mpcc"


@pytest.mark.parametrize("content, words", [
    (dict(id=[1]), "no column 'embedding'"), (dict(embedding=[1.0, 2.0]), "no column 'embedding'"),
    (dict(embedding=np.zeros((0, 3))), "is empty"),
    (dict(embedding=[[1.0, np.nan]]), "not finite")])
def test_tables_that_are_none(content, words):
    with pytest.raises(galsim.GalSimError, match=words):
        EmbeddingTable(Table(content))


def test_rows_by_name(table):
    assert table().row_of(103) == table().row_of("103") == 3
    with pytest.raises(galsim.GalSimError, match="0 rows .* have the id '7'"):
        table().row_of(7)


def test_unknown_columns(table):
    with pytest.raises(galsim.GalSimError, match="no such column"):
        table().column("redshift")


def test_tables_of_different_modules(table):
    first, second = table(), table()
    with pytest.raises(galsim.GalSimError, match="6 and 5 numbers"):
        first.check_like(table(length=5))
    first.table.meta["SAVEDSHA"], second.table.meta["SAVEDSHA"] = "aa", "bb"
    with pytest.raises(galsim.GalSimError, match="embeddings of different modules"):
        first.check_like(second)


@pytest.mark.parametrize("name", ["table.csv", "table"])
def test_other_formats(name, table, tmp_path):
    with pytest.raises(galsim.GalSimError, match="ends in .parquet or .fits"):
        table().write(tmp_path / name)


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(galsim.GalSimError, match="There is no table"):
        read_embeddings(tmp_path / "table.fits")
    for name in ("table.fits", "table.parquet"):
        (tmp_path / name).write_text("nothing")
        with pytest.raises(galsim.GalSimError, match="cannot be read"):
            read_embeddings(tmp_path / name)
