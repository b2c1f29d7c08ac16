"""The command ``galsim-deep``."""

import json
import subprocess
import sys
from pathlib import Path

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


@pytest.fixture
def hub(tiny_folder, monkeypatch):
    """``hub:tiny`` and ``hub:shapes`` are the small modules."""
    monkeypatch.setenv("GALSIM_DEEP_PATH", str(tiny_folder.parent))


def test_list(hub, capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"hub:acs_flow_vae", "hub:tiny", "hub:shapes"} <= {line.split()[0] for line in lines}
    assert any("Discs with bulges." in line for line in lines)


@pytest.mark.parametrize("name", ["acs_flow_vae", "hub:acs_flow_vae"])
def test_info(capsys, name, model):
    assert main(["info", name]) == 0
    text = capsys.readouterr().out
    for word in ["hlr", "mag_auto", "zphot", "F814W", "may be absent", str(model.card.zero_point)]:
        assert word in text


def test_info_json(capsys, model):
    assert main(["info", "acs_flow_vae", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == model.card.name


def test_info_of_nothing(capsys):
    assert main(["info", "acs_flow"]) == 1
    assert "acs_flow_vae" in capsys.readouterr().err


def test_sample(hub, catalog, tmp_path, tiny, table, capsys):
    output = tmp_path / "stamps.fits"
    assert main(["sample", "tiny", "--catalog", str(catalog), "--output", str(output),
                 "--seed", "3"]) == 0
    with fits.open(output) as file:
        np.testing.assert_array_equal(file[0].data, tiny.images(table, rng=3)[..., 0])
        assert file[0].header["PIXSCALE"] == tiny.pixel_scale
        assert file[0].header["ZEROPNT"] == tiny.card.zero_point
        assert file[0].header["MODULE"] == "tiny"
        np.testing.assert_array_equal(file[1].data["mag_auto"], table["mag_auto"])
    assert main(["sample", "tiny", "--catalog", str(catalog),
                 "--output", str(output)]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_names_mean_modules_in_any_folder(tmp_path, monkeypatch):
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


@pytest.mark.parametrize("name", ["\x1b[31mred", "\ud800"])
def test_list_shows_no_control_characters(name, tmp_path, monkeypatch, capsys):
    """Neither from the names of an index nor from a card."""
    index = tmp_path / "index.json"
    index.write_text(json.dumps({name: {"url": None}}))
    card = tmp_path / "module" / "assets" / "galsim_module.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"format_version": 2, "validation": {name: {}}, "name": name}))
    monkeypatch.setenv("GALSIM_DEEP_INDEX", str(index))
    monkeypatch.setenv("GALSIM_DEEP_PATH", str(tmp_path))
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert text.encode() and all(line.isprintable() for line in text.splitlines())
    assert ascii(name)[1:-1] in text
    assert main(["info", "module"]) == 1
    text = capsys.readouterr().err
    assert text.encode() and all(line.isprintable() for line in text.splitlines())


def test_text_that_fits_does_not_hold(hub, table, tmp_path):
    catalog, output = tmp_path / "catalogue.csv", tmp_path / "new" / "stamps.fits"
    Table(dict(table, name=["é"] * 7)).write(catalog)
    with pytest.warns(galsim.GalSimWarning, match="name"):
        assert main(["sample", "tiny", "--catalog", str(catalog), "--output", str(output)]) == 0
    assert "mag_auto" in fits.getdata(output, 1).names
    assert "name" not in fits.getdata(output, 1).names


def test_the_catalogue_is_not_overwritten(hub, catalog):
    before = catalog.read_bytes()
    assert main(["sample", "tiny", "--catalog", str(catalog), "--output", str(catalog),
                 "--overwrite"]) == 1
    assert catalog.read_bytes() == before


@pytest.mark.parametrize("seed", ["0", "-1", "99999999999999999999", "x"])
def test_seeds(seed, capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--seed", seed])
    assert "seed" in capsys.readouterr().err


def test_sample_by_id(hub, catalog, tmp_path, tiny, table):
    output = tmp_path / "stamps.fits"
    assert main(["sample", "tiny", "--catalog", str(catalog), "--output", str(output),
                 "--id", "id"]) == 0
    np.testing.assert_array_equal(
        fits.getdata(output), tiny.images(table, seeds=np.arange(7) + 50)[..., 0])


@pytest.mark.parametrize("change, word", [
    (["--catalog", "absent.fits"], "absent.fits"),
    (["--id", "name"], "name"),
    (["--strict"], "valid range"),
])
def test_sample_errors(hub, catalog, table, tmp_path, capsys, change, word):
    if change == ["--strict"]:
        catalog = tmp_path / "bright.csv"
        Table(dict(table, mag_auto=np.full(7, 10.0))).write(catalog)
    status = main(["sample", "tiny", "--catalog", str(catalog),
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


@pytest.mark.long
def test_the_plugin_without_its_extras(tmp_path, catalog):
    """With nothing but what `pip install galsim-deep` installs."""
    script = """
import sys
for name in ("tensorflow", "tensorflow_hub", "keras", "matplotlib", "h5py", "sklearn", "statmorph"):
    sys.modules[name] = None
from galsim_deep.cli import main
assert main(["list"]) == main(["info", "acs_flow_vae"]) == 0
assert main(["sample", "acs_flow_vae", "--catalog", sys.argv[1], "--output", "stamps.fits"]) == 0
assert main(["demo"]) == 0
"""
    rows = Table.read(catalog)
    rows["hlr"] = 0.03 * rows["flux_radius"]
    rows.write(catalog, overwrite=True)
    subprocess.run([sys.executable, "-c", script, str(catalog)], check=True, cwd=tmp_path)
    assert (tmp_path / "galsim_deep_demo.png").stat().st_size > 1000
    assert (tmp_path / "stamps.fits").exists()


def test_info_lists_classes(shapes_folder, capsys):
    assert main(["info", str(shapes_folder)]) == 0
    text = capsys.readouterr().out
    assert "generator" in text
    assert "0 disc, 50.0 %: An exponential disc." in text
    assert "2 ring, 20.0 %: A ring with a hole." in text
    assert main(["info", "acs_flow_vae"]) == 0
    assert "classes" not in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("galaxy_class", ["ring", "2"])
def test_sample_of_a_class(hub, shapes, catalog, table, tmp_path, galaxy_class):
    output = tmp_path / "stamps.fits"
    assert main(["sample", "shapes", "--catalog", str(catalog), "--output", str(output),
                 "--id", "id", "--galaxy-class", galaxy_class]) == 0
    images = shapes.images(table, seeds=np.arange(7) + 50, galaxy_class="ring")
    np.testing.assert_array_equal(fits.getdata(output), images[..., 0])
    assert set(Table.read(output, hdu=1)["galaxy_class"]) == {"ring"}


def test_sample_says_which_classes_were_drawn(hub, shapes, catalog, table, tmp_path):
    output = tmp_path / "stamps.fits"
    assert main(["sample", "shapes", "--catalog", str(catalog), "--output", str(output),
                 "--id", "id"]) == 0
    drawn = list(Table.read(output, hdu=1)["galaxy_class"])
    assert len(set(drawn)) > 1
    images = shapes.images(table, seeds=np.arange(7) + 50, galaxy_class=drawn)
    np.testing.assert_array_equal(fits.getdata(output), images[..., 0])


def test_sample_by_a_column_of_classes(hub, shapes, table, tmp_path):
    catalog, output = tmp_path / "catalogue.csv", tmp_path / "stamps.fits"
    classes = ["ring", "0", "", "disc", "-1", "bulge", "1"]
    Table(dict(table, galaxy_class=classes)).write(catalog)
    assert main(["sample", "shapes", "--catalog", str(catalog), "--output", str(output)]) == 0
    images = shapes.images(table, rng=1, galaxy_class=[2, 0, -1, 0, -1, 1, 1])
    np.testing.assert_array_equal(fits.getdata(output), images[..., 0])
    written = list(Table.read(output, hdu=1)["galaxy_class"])
    assert [written[row] for row in (0, 1, 3, 5, 6)] == ["ring", "disc", "disc", "bulge", "bulge"]
    assert set(written) <= set(shapes.classes)
    # The option takes the place of the column.
    assert main(["sample", "shapes", "--catalog", str(catalog), "--output", str(output),
                 "--overwrite", "--galaxy-class", "disc"]) == 0
    assert set(Table.read(output, hdu=1)["galaxy_class"]) == {"disc"}


@pytest.mark.parametrize("module, galaxy_class, word", [
    ("shapes", "spiral", "'disc'"), ("shapes", "3", "'disc'"), ("tiny", "0", "no classes")])
def test_sample_of_no_class(hub, catalog, tmp_path, capsys, module, galaxy_class, word):
    assert main(["sample", module, "--catalog", str(catalog), "--galaxy-class", galaxy_class,
                 "--output", str(tmp_path / "out.fits")]) == 1
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out.fits").exists()


def test_sample_with_a_pixel_scale_for_each_galaxy(hub, catalog, table, tmp_path):
    output = tmp_path / "stamps.fits"
    assert main(["sample", "scaled", "--catalog", str(catalog), "--output", str(output)]) == 0
    with fits.open(output) as file:
        assert "PIXSCALE" not in file[0].header  # there is no scale of all stamps
        rows = Table.read(file[1])
    assert rows["pixel_scale"].unit == "arcsec"
    np.testing.assert_allclose(rows["pixel_scale"], table["flux_radius"] / 100, rtol=1e-6)


FULL_DISK = """
import resource, signal, sys
from galsim_deep.cli import main
if sys.argv[1] == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits here")
@pytest.mark.parametrize("command", ["sample", "demo"])
def test_a_full_disk_leaves_the_files_as_they_were(hub, catalog, tmp_path, command,
                                                   environment_without_coverage):
    folder = tmp_path / "made"
    options = dict(sample=["sample", "tiny", "--catalog", str(catalog), "--overwrite",
                           "--output", str(folder / "stamps.fits")],
                   demo=["demo", "--module", "tiny", "--output", str(folder)])[command]

    def run(disk, *more):
        return subprocess.run([sys.executable, "-c", FULL_DISK, disk, *options, *more],
                              capture_output=True, text=True, env=environment_without_coverage)

    done = run("free")
    assert done.returncode == 0, done.stderr
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert len(before) == dict(sample=1, demo=2)[command]
    done = run("full", "--seed", "9")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such device here")
def test_devices_are_not_replaced(hub, catalog, capsys):
    assert main(["sample", "tiny", "--catalog", str(catalog), "--output", "/dev/null",
                 "--overwrite"]) == 1
    assert "/dev/null is not a file" in capsys.readouterr().err
    assert not Path("/dev/null").is_file()


@pytest.mark.long
def test_demo_of_a_class(hub, tmp_path, capsys):
    scenes = []
    for options in ([], ["--galaxy-class", "disc"]):
        assert main(["demo", "--module", "shapes", "--output", str(tmp_path), *options]) == 0
        scenes.append(fits.getdata(capsys.readouterr().out.split()[0]))
    assert np.any(scenes[0] != scenes[1])
