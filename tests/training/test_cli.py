"""The command galsim-deep-train."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from galsim_deep.modules.card import read_card
from galsim_deep_training.cli import main
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.data.external import EXTERNAL_DATA, ExternalData


def test_data(command, recipe):
    assert command.run("data") == 0
    assert len(Dataset.of(recipe, command.folder / "data.h5")) > 40


@pytest.mark.long
def test_fit(command, recipe):
    assert command.run("fit") == 0
    lines = (command.folder / "fit.jsonl").read_text().splitlines()
    assert {json.loads(line)["phase"] for line in lines} == set(recipe.fit)


@pytest.mark.long
def test_export(command):
    assert command.run("export") == 0
    assert read_card(command.module).name == "tiny"


def fails(capsys, *arguments):
    """The message of a command that fails."""
    assert main([str(argument) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("galsim-deep-train: ")
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize("step", ["data", "fit", "export"])
def test_a_recipe_that_is_not_there(step, capsys, tmp_path):
    assert "absent.yaml" in fails(capsys, step, tmp_path / "absent.yaml")


def test_a_recipe_that_is_wrong(capsys, write_recipe, recipe_content):
    path = write_recipe(dict(recipe_content(), colour="red"))
    message = fails(capsys, "data", path)
    assert "colour" in message and str(path) in message


def test_files_that_are_not_there(capsys, write_recipe, recipe_content, tmp_path):
    content = recipe_content()
    content["data"]["sources"]["collection"] = "absent.h5"
    assert "absent.h5" in fails(capsys, "data", write_recipe(content), "--run", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_steps_in_the_wrong_order(capsys, recipe, new_run, tmp_path):
    message = fails(capsys, "fit", recipe.path, "--run", tmp_path / "empty")
    assert "galsim-deep-train data" in message
    message = fails(capsys, "export", recipe.path, "--run", new_run(), "--output", tmp_path / "hub")
    assert "galsim-deep-train fit" in message
    assert not (tmp_path / "hub").exists()


def test_the_working_folder_by_default(capsys, recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert os.path.join("runs", "tiny", "data.h5") in fails(capsys, "fit", recipe.path)


@pytest.mark.parametrize("arguments", [
    [], ["train"], ["data"], ["fit", "a.yaml", "--processes"], ["fetch"], ["fetch", "--from", "a"]])
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert "usage: galsim-deep-train" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as info:
        main(["export", "--help"])
    assert info.value.code == 0
    assert "--output" in capsys.readouterr().out


@pytest.mark.long
def test_tensorflow_is_imported_by_the_steps_that_need_it(recipe, tmp_path):
    """Neither by the command itself nor by ``data``, which forks."""
    code = f"""
import sys
from galsim_deep_training.cli import main
assert "tensorflow" not in sys.modules
status = main(["data", {str(recipe.path)!r}, "--run", {str(tmp_path)!r}, "--processes", "2"])
assert status == 0 and "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"-> {tmp_path / 'data.h5'}" in done.stdout
    assert "examples" in done.stdout and "stamp" in done.stderr


@pytest.mark.long
def test_data_on_a_full_disk(recipe, tmp_path, environment_without_coverage):
    """One clear line and no file, whatever HDF5 thinks of it."""
    code = f"""
import resource
from galsim_deep_training.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
raise SystemExit(main(
    ["data", {str(recipe.path)!r}, "--run", {str(tmp_path)!r}, "--processes", "2", "--quiet"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
                          env=environment_without_coverage)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"galsim-deep-train: {tmp_path / 'data.h5'} cannot be written")
    assert "File too large" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("sources", ["held-out", "training"])
def test_new_examples(sources, recipe, data_file, tmp_path):
    """Other stamps than those of the data set, all for the test, of the galaxies asked for."""
    assert main(["data", str(recipe.path), "--run", str(tmp_path), "--quiet", "--new", sources,
                 "--count", "9"]) == 0
    new, old = Dataset(tmp_path / f"new_{sources}.h5"), Dataset(data_file)
    assert 0 < len(new) <= 9 and list(new.test_indices) == list(range(len(new)))
    side = old.test_indices if sources == "held-out" else old.train_indices
    assert set(new.source) <= set(old.source[side])
    assert not np.isin(new.columns["mag_auto"], old.columns["mag_auto"]).any()
    assert len(new.noiseless()[0]) == len(new)
    assert main(["data", str(recipe.path), "--quiet", "--new", sources, "--count", "9",
                 "--output", str(tmp_path / "again.h5")]) == 0
    again = Dataset(tmp_path / "again.h5")
    assert (again.read([0])["stamp"] == new.read([0])["stamp"]).all()


def test_new_examples_of_galaxies_as_observed(capsys, make_recipe, tmp_path):
    path = make_recipe(builder="real_galaxies").path
    assert "test split" in fails(capsys, "data", path, "--run", tmp_path, "--new", "held-out",
                                 "--quiet")
    assert list(tmp_path.iterdir()) == []


# ---- fetch ----------------------------------------------------------------------------------


@pytest.fixture
def galaxies(server, tmp_path, monkeypatch):
    """External data called ``galaxies``, which the server has."""
    monkeypatch.delenv("GALSIM_DEEP_OFFLINE", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("GALSIM_DEEP_DATA", str(tmp_path / "data"))
    data = ExternalData(
        name="galaxies", summary="some galaxies", url=server.put("/galaxies.zip", b"galaxies"),
        sha256=hashlib.sha256(b"galaxies").hexdigest(), size=8, also="elsewhere",
        terms="for astronomers", citation="Hubble 1926")
    monkeypatch.setitem(EXTERNAL_DATA, "galaxies", data)
    return data


def test_fetch(capsys, galaxies, server):
    """Terms and citation are shown before the path."""
    assert main(["fetch", "galaxies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["galaxies: some galaxies", "Terms: for astronomers.", "Cite: Hubble 1926.",
                     f"galaxies -> {galaxies.path}"]
    assert galaxies.path.read_bytes() == b"galaxies" and server.requests == ["/galaxies.zip"]


def test_fetch_from_a_folder(galaxies, server, tmp_path):
    (tmp_path / "galaxies.zip").write_bytes(b"galaxies")
    assert main(["fetch", "galaxies", "--from", str(tmp_path)]) == 0
    assert galaxies.find().read_bytes() == b"galaxies" and server.requests == []


def test_list_of_external_data(capsys, galaxies, server):
    def listed():
        assert main(["fetch", "--list"]) == 0
        folder, *lines = capsys.readouterr().out.splitlines()
        assert folder.endswith(str(galaxies.path.parent))
        assert len(lines) == len(EXTERNAL_DATA)
        return next(line for line in lines if line.startswith("galaxies: some galaxies"))

    assert "not on this machine" in listed() and server.requests == []
    galaxies.fetch()
    assert listed().endswith("galaxies.zip")


def test_fetch_that_fails(capsys, galaxies, server):
    """One line of error, after the terms; nothing is downloaded if a name is unknown."""
    assert "Did you mean galaxies" in fails(capsys, "fetch", "galaxies", "galaxie")
    assert server.requests == []
    server.put("/galaxies.zip", b"galaxiez")
    assert main(["fetch", "galaxies"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("galaxies: ") and "->" not in captured.out
    (line,) = captured.err.splitlines()
    assert line.startswith("galsim-deep-train: galaxies") and galaxies.sha256 in line


def test_data_that_were_not_fetched(capsys, galaxies, make_recipe, tmp_path):
    recipe = make_recipe(lambda content: content.update(
        data=dict(kind="images", file_name="fetched:galaxies"), columns=[]))
    message = fails(capsys, "data", recipe.path, "--run", tmp_path / "run")
    assert "galsim-deep-train fetch galaxies" in message and str(recipe.path) in message
    assert not (tmp_path / "run").exists()
