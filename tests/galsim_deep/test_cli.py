"""The command ``galsim-deep``."""

import json
import subprocess
import sys

import galsim
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from galsim_deep.cli import main


@pytest.fixture
def catalog(table, tmp_path):
    path = tmp_path / "catalogue.fits"
    Table(dict(table, id=np.arange(7) + 50)).write(path)
    return path


def test_list(capsys):
    assert main(["list"]) == 0
    assert "hub:acs_flow_vae" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["acs_flow_vae", "hub:acs_flow_vae"])
def test_info(capsys, name, model):
    assert main(["info", name]) == 0
    text = capsys.readouterr().out
    for word in ["flux_radius", "mag_auto", "zphot", "F814W", str(model.card.flux.zero_point)]:
        assert word in text


def test_info_json(capsys, model):
    assert main(["info", "acs_flow_vae", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == model.card.name


def test_info_of_nothing(capsys):
    assert main(["info", "acs_flow"]) == 1
    assert "acs_flow_vae" in capsys.readouterr().err


def test_sample(catalog, tmp_path, model, table, capsys):
    output = tmp_path / "stamps.fits"
    assert main(["sample", "acs_flow_vae", "--catalog", str(catalog), "--output", str(output),
                 "--seed", "3"]) == 0
    with fits.open(output) as file:
        np.testing.assert_array_equal(file[0].data, model.images(table, rng=3))
        assert file[0].header["PIXSCALE"] == model.pixel_scale
        assert file[0].header["MODULE"] == model.card.name
        np.testing.assert_array_equal(file[1].data["mag_auto"], table["mag_auto"])
    assert main(["sample", "acs_flow_vae", "--catalog", str(catalog),
                 "--output", str(output)]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_names_mean_modules_wherever_one_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acs_flow_vae").mkdir()
    assert main(["info", "acs_flow_vae"]) == 0


def test_list_passes_over_damaged_modules(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken" / "assets").mkdir(parents=True)
    (tmp_path / "broken" / "assets" / "galsim_module.json").write_text("{")
    monkeypatch.setenv("GALSIM_DEEP_PATH", str(tmp_path))
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("broken" in line and "damaged" in line for line in lines)
    assert any("hub:acs_flow_vae" in line for line in lines)


def test_text_that_fits_does_not_hold(table, tmp_path):
    catalog, output = tmp_path / "catalogue.csv", tmp_path / "new" / "stamps.fits"
    Table(dict(table, name=["é"] * 7)).write(catalog)
    with pytest.warns(galsim.GalSimWarning, match="name"):
        assert main(["sample", "acs_flow_vae", "--catalog", str(catalog),
                     "--output", str(output)]) == 0
    assert "mag_auto" in fits.getdata(output, 1).names
    assert "name" not in fits.getdata(output, 1).names


def test_the_catalogue_is_not_overwritten(catalog):
    before = catalog.read_bytes()
    assert main(["sample", "acs_flow_vae", "--catalog", str(catalog), "--output", str(catalog),
                 "--overwrite"]) == 1
    assert catalog.read_bytes() == before


@pytest.mark.parametrize("seed", ["0", "-1", "99999999999999999999", "x"])
def test_seeds(seed, capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--seed", seed])
    assert "seed" in capsys.readouterr().err


def test_sample_by_id(catalog, tmp_path, model, table):
    output = tmp_path / "stamps.fits"
    assert main(["sample", "acs_flow_vae", "--catalog", str(catalog), "--output", str(output),
                 "--id", "id"]) == 0
    np.testing.assert_array_equal(
        fits.getdata(output), model.images(table, seeds=np.arange(7) + 50))


@pytest.mark.parametrize("change, word", [
    (["--catalog", "absent.fits"], "absent.fits"),
    (["--id", "name"], "name"),
    (["--strict"], "valid range"),
])
def test_sample_errors(catalog, table, tmp_path, capsys, change, word):
    if change == ["--strict"]:
        catalog = tmp_path / "bright.csv"
        Table(dict(table, mag_auto=np.full(7, 10.0))).write(catalog)
    status = main(["sample", "acs_flow_vae", "--catalog", str(catalog),
                   "--output", str(tmp_path / "out.fits"), *change])
    assert status == 1
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out.fits").exists()


def test_demo(tmp_path, capsys):
    assert main(["demo", "--output", str(tmp_path / "here")]) == 0
    paths = capsys.readouterr().out.split()
    scene = fits.getdata(paths[0])
    assert scene.shape == (512, 512)
    assert np.isfinite(scene).all()
    assert scene.max() > 50 * np.median(np.abs(scene))
    with open(paths[1], "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_what_the_plugin_does_without_its_extras(tmp_path, catalog):
    """Nothing but what `pip install galsim-deep` brings."""
    script = """
import sys
for name in ("tensorflow", "tensorflow_hub", "keras", "matplotlib", "h5py", "sklearn", "statmorph"):
    sys.modules[name] = None
from galsim_deep.cli import main
assert main(["list"]) == main(["info", "acs_flow_vae"]) == 0
assert main(["sample", "acs_flow_vae", "--catalog", sys.argv[1], "--output", "stamps.fits"]) == 0
assert main(["demo"]) == 0
"""
    subprocess.run([sys.executable, "-c", script, str(catalog)], check=True, cwd=tmp_path,
                   timeout=200)
    assert (tmp_path / "galsim_deep_demo.png").stat().st_size > 1000
    assert (tmp_path / "stamps.fits").exists()


def test_info_lists_classes(shapes_folder, capsys):
    assert main(["info", str(shapes_folder)]) == 0
    text = capsys.readouterr().out
    assert "0 disc, 50.0 %: An exponential disc." in text
    assert "2 ring, 20.0 %: A ring with a hole." in text
    assert main(["info", "acs_flow_vae"]) == 0
    assert "classes" not in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("cluster", ["ring", "2"])
def test_sample_of_a_class(shapes_folder, shapes, catalog, table, tmp_path, cluster):
    output = tmp_path / "stamps.fits"
    assert main(["sample", str(shapes_folder), "--catalog", str(catalog), "--output", str(output),
                 "--id", "id", "--cluster", cluster]) == 0
    np.testing.assert_array_equal(
        fits.getdata(output), shapes.images(table, seeds=np.arange(7) + 50, cluster="ring"))
    assert set(Table.read(output, hdu=1)["cluster"]) == {"ring"}


def test_sample_says_which_classes_were_drawn(shapes_folder, shapes, catalog, table, tmp_path):
    output = tmp_path / "stamps.fits"
    assert main(["sample", str(shapes_folder), "--catalog", str(catalog), "--output", str(output),
                 "--id", "id"]) == 0
    drawn = list(Table.read(output, hdu=1)["cluster"])
    assert len(set(drawn)) > 1
    np.testing.assert_array_equal(fits.getdata(output), shapes.images(
        table, seeds=np.arange(7) + 50, cluster=drawn))


def test_sample_by_a_column_of_classes(shapes_folder, shapes, table, tmp_path):
    catalog, output = tmp_path / "catalogue.csv", tmp_path / "stamps.fits"
    asked = ["ring", "0", "", "disc", "-1", "bulge", "1"]
    Table(dict(table, cluster=asked)).write(catalog)
    assert main(["sample", str(shapes_folder), "--catalog", str(catalog),
                 "--output", str(output)]) == 0
    np.testing.assert_array_equal(
        fits.getdata(output), shapes.images(table, rng=1, cluster=[2, 0, -1, 0, -1, 1, 1]))
    kept = list(Table.read(output, hdu=1)["cluster"])
    assert [kept[row] for row in (0, 1, 3, 5, 6)] == ["ring", "disc", "disc", "bulge", "bulge"]
    assert set(kept) <= set(shapes.clusters)
    # What is asked for on the command line counts.
    assert main(["sample", str(shapes_folder), "--catalog", str(catalog), "--output", str(output),
                 "--overwrite", "--cluster", "disc"]) == 0
    assert set(Table.read(output, hdu=1)["cluster"]) == {"disc"}


@pytest.mark.parametrize("module, cluster, word", [
    ("shapes", "spiral", "'disc'"), ("shapes", "3", "'disc'"), ("acs", "0", "no classes")])
def test_sample_of_no_class(shapes_folder, catalog, tmp_path, capsys, module, cluster, word):
    handle = dict(shapes=str(shapes_folder), acs="acs_flow_vae")[module]
    assert main(["sample", handle, "--catalog", str(catalog), "--cluster", cluster,
                 "--output", str(tmp_path / "out.fits")]) == 1
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out.fits").exists()


def test_demo_of_a_class(shapes_folder, tmp_path, capsys):
    scenes = []
    for more in ([], ["--cluster", "disc"]):
        assert main(["demo", "--module", str(shapes_folder), "--output", str(tmp_path), *more]) == 0
        scenes.append(fits.getdata(capsys.readouterr().out.split()[0]))
    assert np.any(scenes[0] != scenes[1])
