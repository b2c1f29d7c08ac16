"""The commands embed, similar, score, classify and map, from stamps to pages."""

import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.cli import main
from galsim_deep.embeddings import read_embeddings


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def embedded(sources, tmp_path_factory):
    """The table that ``galsim-deep embed`` makes of the sources."""
    path = tmp_path_factory.mktemp("embedded") / "sources.parquet"
    assert run("embed", "first_mpcc", "--stamps", sources, "--output", path) == 0
    return path


def test_embed(embedded, capsys):
    table = read_embeddings(embedded)
    assert len(table) == 40 and table.embedding.shape[1] == 35
    assert set(table.column("label")) == {"close", "wide"}


def test_similar(embedded, tmp_path, capsys):
    assert run("similar", embedded, "--output", tmp_path, "--neighbours", 3) == 0
    found = Table.read(tmp_path / "neighbours.ecsv")
    assert len(found) == 120 and np.all(found["query"] != found["id"])
    label = read_embeddings(embedded).column("label")
    assert np.mean(label[found["query"]] == label[found["id"]]) > 0.9
    page = (tmp_path / "similar.html").read_text()
    assert page.count("<img") == 160 and str(tmp_path / "similar.html") in capsys.readouterr().out


def test_similar_to_one_stamp_of_another_table(embedded, tmp_path):
    assert run("similar", embedded, "--query", embedded, "--id", 7, "--output", tmp_path) == 0
    found = Table.read(tmp_path / "neighbours.ecsv")
    # The tables are the same, so that the nearest one is the stamp itself.
    assert len(found) == 5 and found["id"][0] == 7
    assert found["similarity"][0] == pytest.approx(1.0, abs=1e-6)


def test_classify(embedded, tmp_path, capsys):
    assert run("classify", embedded, "--label", "label", "--positive", "wide", "--test-share", 0.3,
               "--output", tmp_path) == 0
    figures = Table.read(tmp_path / "figures.ecsv")
    assert list(figures["classifier"]) == ["knn", "rf", "svc", "lr", "grad", "ext"]
    assert figures["accuracy"][1] > 0.9
    predictions = Table.read(tmp_path / "predictions.ecsv")
    assert len(predictions) == 12 and set(predictions["rf"]) <= {"close", "wide"}
    assert "ROC curves" in (tmp_path / "classes.html").read_text()


def test_rows_without_a_label_are_left_out(embedded, tmp_path, capsys):
    table = Table.read(embedded)
    names = np.array(table["label"]).astype("U8")
    names[:4] = ["", "nan", "-1", "-1.0"]
    table["label"] = names
    table.write(tmp_path / "some.fits")
    assert run("classify", tmp_path / "some.fits", "--label", "label", "--output", tmp_path) == 0
    assert "left out 4 of 40 rows" in capsys.readouterr().out
    predictions = Table.read(tmp_path / "predictions.ecsv")
    assert set(predictions["label"]) <= {"close", "wide"}


def test_map(embedded, tmp_path, capsys):
    assert run("map", embedded, "--colour", "size", "--output", tmp_path) == 0
    found = Table.read(tmp_path / "map.ecsv")
    assert found.colnames == ["id", "x", "y", "size"] and len(found) == 40
    page = (tmp_path / "map.html").read_text()
    assert "Which numbers tell of size" in page and "principal components" in page


def test_a_map_coloured_by_classes(embedded, tmp_path):
    assert run("map", embedded, "--colour", "label", "--output", tmp_path) == 0


@pytest.mark.parametrize("arguments, words", [
    (["embed", "first_mpcc", "--stamps", "STAMPS", "--output", "OUT/t.csv"], ".parquet or .fits"),
    (["embed", "first_mpcc", "--stamps", "STAMPS", "--output", "OUT/t.fits", "--pixel-scale", "3"],
     "pixels of 3 arcsec"),
    (["embed", "first_mpcc", "--stamps", "STAMPS", "--output", "OUT/t.fits", "--count", "0"],
     "--count is 0"),
    (["embed", "first_mpcc", "--stamps", "STAMPS", "--output", "OUT/t.fits", "--column", "size"],
     "COLUMN=NAME"),
    (["similar", "TABLE", "--id", "99", "--output", "OUT"], "have the id '99'"),
    (["similar", "OUT/none.fits", "--output", "OUT"], "There is no table"),
    (["classify", "TABLE", "--label", "kind", "--output", "OUT"], "no such column"),
    (["classify", "TABLE", "--label", "flux_density", "--output", "OUT"], "examples in"),
    (["classify", "TABLE", "--label", "label", "--test-share", "2", "--output", "OUT"],
     "between 0 and 1"),
    (["score", "first_mpcc", "TABLE", "--output", "OUT"], "is a generator, and not a density"),
    (["map", "TABLE", "--colour", "kind", "--output", "OUT"], "no such column")])
def test_bad_input(arguments, words, embedded, sources, tmp_path, capsys):
    places = dict(STAMPS=sources, TABLE=embedded)
    words_of = [str(places.get(word, word)).replace("OUT", str(tmp_path)) for word in arguments]
    assert main(words_of) == 1
    assert words in capsys.readouterr().err
