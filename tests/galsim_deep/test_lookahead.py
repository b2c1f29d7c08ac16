"""What is made ahead is made for those that come, and changes nothing but time."""

import json
import os
import subprocess
import sys
import warnings

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep import config as config_module
from galsim_deep.lookahead import Lookahead, Source, foreseen
from galsim_deep.module import GPU_ROWS

COLUMNS = ("flux_radius", "mag_auto", "zphot")
COUNT = 20


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    rng = np.random.default_rng(2)
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.fits"
    Table(dict(id=rng.permutation(1000)[:COUNT], flux_radius=rng.uniform(4, 12, COUNT),
               mag_auto=rng.uniform(21, 25, COUNT), zphot=rng.uniform(0.2, 1.5, COUNT))).write(path)
    return path


def config(catalogue, nproc=1, **gal):
    fields = {name: dict(type="Catalog", col=name) for name in (*COLUMNS, "id")} | gal
    model = dict(file_name="hub:acs_flow_vae")
    return dict(
        modules=["galsim_deep"],
        input=dict(catalog=dict(file_name=str(catalogue)), generative_model=model),
        gal=dict(type="GenerativeModelGalaxy",
                 **{name: value for name, value in fields.items() if value is not None}),
        psf=dict(type="Gaussian", sigma=0.06),
        image=dict(type="Tiled", nx_tiles=COUNT, ny_tiles=1, stamp_size=16, pixel_scale=0.1,
                   random_seed=9, nproc=nproc))


@pytest.fixture
def asked(monkeypatch, model):
    """How many galaxies were made at a time."""
    found, sample = [], type(model).sample

    def counted(self, table, **kwargs):
        made = sample(self, table, **kwargs)
        found.append(len(made))
        return made

    monkeypatch.setattr(type(model), "sample", counted)
    monkeypatch.setattr(config_module, "threads", lambda: 1)
    monkeypatch.setattr(config_module, "_ahead", Lookahead())
    return found


@pytest.fixture
def alone(catalogue, monkeypatch):
    """The image, its galaxies made one by one."""
    with monkeypatch.context() as patch:
        patch.setattr(config_module, "_several", lambda *_: [])
        return galsim.config.BuildImage(config(catalogue)).array


def test_galaxies_of_a_catalogue_are_made_together(catalogue, asked, alone):
    asked.clear()
    image = galsim.config.BuildImage(config(catalogue)).array
    assert asked == [1, 1, 8, 8, 8]
    np.testing.assert_array_equal(image, alone)


def test_other_fields_may_refer_to_those_of_galaxies_made_ahead(catalogue, asked, tmp_path):
    """To what GalSim calls their current values."""
    described = config(catalogue, flux="$10**(0.4 * (26 - @gal.mag_auto))")
    named = {name: f"gal.{name}" for name in (*COLUMNS, "id")}
    described["output"] = dict(
        dir=str(tmp_path), file_name="image.fits",
        truth=dict(file_name="truth.fits", columns=dict(named, flux="gal.flux")))
    galsim.config.Process(described)
    assert max(asked) == 8
    truth, real = (Table.read(path) for path in (tmp_path / "truth.fits", catalogue))
    for name in named:
        np.testing.assert_array_equal(truth[name], real[name])
    np.testing.assert_allclose(truth["flux"], 10 ** (0.4 * (26 - real["mag_auto"])))


def test_threads_have_a_block_each(catalogue, asked, alone, monkeypatch):
    monkeypatch.setattr(config_module, "threads", lambda: 2)
    asked.clear()
    image = galsim.config.BuildImage(config(catalogue)).array
    assert asked == [1, 1, 16, 16]
    np.testing.assert_array_equal(image, alone)


@pytest.mark.parametrize("gal", [
    dict(mag_auto=dict(type="Random", min=22, max=24)), dict(mag_auto="$22 + obj_num / 100"),
    dict(id=dict(type="Sequence", index_key="image_num")),
    dict(mag_auto=dict(type="Catalog", col="mag_auto", index=dict(type="Random", min=0, max=5))),
    dict(id=None)])
def test_what_is_not_known_beforehand_is_made_alone(catalogue, asked, gal):
    galsim.config.BuildImage(config(catalogue, **gal))
    assert set(asked) == {1}


@pytest.mark.parametrize("gal", [
    dict(zphot=0.5), dict(zphot=None), dict(id=dict(type="Sequence", first=5)),
    dict(mag_auto=dict(type="Catalog", col="mag_auto", index=dict(type="Sequence", first=3))),
    dict(half_light_radius=dict(type="Sequence", first=0.2, step=0.01)),
    dict(x_interpolant="lanczos5", gsparams=dict(folding_threshold=1e-2))])
def test_constants_and_sequences_are_known(catalogue, asked, gal, monkeypatch):
    image = galsim.config.BuildImage(config(catalogue, **gal)).array
    assert max(asked) == 8
    monkeypatch.setattr(config_module, "_several", lambda *_: [])
    np.testing.assert_array_equal(galsim.config.BuildImage(config(catalogue, **gal)).array, image)


def test_options_that_change(catalogue, asked, monkeypatch):
    """Those with different options are not made together."""
    gal = dict(pad_factor=dict(type="Sequence", first=4, step=2, repeat=4))
    image = galsim.config.BuildImage(config(catalogue, **gal)).array
    assert max(asked) == 4
    monkeypatch.setattr(config_module, "_several", lambda *_: [])
    np.testing.assert_array_equal(galsim.config.BuildImage(config(catalogue, **gal)).array, image)


def test_a_fault_is_that_of_its_own_object(catalogue, asked):
    """A galaxy that comes later may be wrong: the error comes when it does."""
    table = Table.read(catalogue)
    table["mag_auto"][5] = np.inf
    wrong = catalogue.parent / "wrong.fits"
    table.write(wrong, overwrite=True)
    base = config(wrong)
    base["image"].update(nx_tiles=5)
    galsim.config.BuildImage(base)
    with pytest.raises(galsim.GalSimError, match="mag_auto"):
        galsim.config.BuildImage(config(wrong))


def test_warnings_come_with_their_own_object(catalogue, asked):
    table = Table.read(catalogue)
    table["mag_auto"][6] = 29.0
    odd = catalogue.parent / "odd.fits"
    table.write(odd, overwrite=True)
    base = config(odd)
    base["image"].update(nx_tiles=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error", galsim.GalSimWarning)
        galsim.config.BuildImage(base)
    with pytest.warns(galsim.GalSimWarning, match="mag_auto") as caught:
        galsim.config.BuildImage(config(odd))
    assert len(caught) == 1


def test_fields_that_change_between_objects(catalogue, asked):
    """A script may build objects itself, and change what it likes in between."""
    base = config(catalogue, mag_auto=22.0, nproc=1)
    galsim.config.ProcessInput(base)
    made = []
    for number in range(8):
        base["obj_num"] = number
        if number == 5:
            base["gal"]["mag_auto"] = 24.0
        made.append(galsim.config.BuildGSObject(base, "gal")[0].flux)
    assert max(asked) == 8
    np.testing.assert_allclose(made[5:], np.array(made[:3]) * 10**-0.8, rtol=1e-4)


def test_another_catalogue(catalogue, asked):
    """The same numbers and fields, another input."""
    other = Table.read(catalogue)
    other["mag_auto"] = 22.0
    path = catalogue.parent / "other.fits"
    other.write(path, overwrite=True)
    first, second = config(catalogue), config(path)
    for base in (first, second):
        galsim.config.ProcessInput(base)
    base = dict(first)
    for number in range(6):
        base["obj_num"] = number
        if number == 4:
            base["_input_objs"] = second["_input_objs"]
        galaxy = galsim.config.BuildGSObject(base, "gal")[0]
    expected = dict(second, obj_num=5, gal=config(path)["gal"])
    assert galaxy == galsim.config.BuildGSObject(expected, "gal")[0]


@pytest.mark.parametrize("repeat", [2, 3, 5])
@pytest.mark.parametrize("where", ["column", "sequence", "index"])
def test_values_that_are_repeated(catalogue, asked, monkeypatch, repeat, where):
    gal = dict(
        column=dict(flux_radius=dict(type="Catalog", col="flux_radius", repeat=repeat)),
        sequence=dict(flux_radius=dict(type="Sequence", first=5, step=0.5, repeat=repeat)),
        index=dict(flux_radius=dict(type="Catalog", col="flux_radius", index=dict(
            type="Sequence", repeat=repeat))))[where]
    image = galsim.config.BuildImage(config(catalogue, **gal)).array
    monkeypatch.setattr(config_module, "_several", lambda *_: [])
    np.testing.assert_array_equal(galsim.config.BuildImage(config(catalogue, **gal)).array, image)


@pytest.mark.parametrize("level", ["image", "output"])
@pytest.mark.parametrize("nproc", [1, 3])
def test_several_files(catalogue, alone, nproc, level, tmp_path):
    """Each file has the first rows of the catalogue, whatever was made ahead in the one before."""
    base = config(catalogue)
    base["image"]["nx_tiles"] = 5
    base[level] = dict(base.get(level, {}), nproc=nproc)
    name = dict(type="NumberedFile", root="image", num=dict(type="Sequence", last=2), ext=".fits")
    base["output"] = dict(base.get("output", {}), dir=str(tmp_path), file_name=name, nfiles=3)
    script = "import json, sys, galsim; galsim.config.Process(json.loads(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", script, json.dumps(base)], check=True, timeout=200)
    files = sorted(tmp_path.glob("*.fits"))
    assert len(files) == 3
    for file in files:
        np.testing.assert_array_equal(galsim.fits.read(str(file)).array, alone[:, :80])


def test_a_warning_is_given_as_often_as_without(catalogue, asked, monkeypatch):
    """Once for each place in the code, as Python does unless it is told otherwise."""
    counts = []
    for several in (config_module._several, lambda *_: []):
        monkeypatch.setattr(config_module, "_several", several)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            galsim.config.BuildImage(config(catalogue, mag_auto=26.4))
        counts.append(len(caught))
    assert counts[0] == counts[1]


def test_objects_before_one_that_is_odd_are_made_together(catalogue, asked):
    table = Table.read(catalogue)
    table["mag_auto"][10] = 29.0
    odd = catalogue.parent / "tenth.fits"
    table.write(odd, overwrite=True)
    asked.clear()
    with pytest.warns(galsim.GalSimWarning, match="mag_auto"):
        galsim.config.BuildImage(config(odd))
    assert asked == [1, 1, 8, 1, 8, 8]


def test_a_catalogue_that_nobody_reads(catalogue):
    """What GalSim keeps in the configuration while it reads stays there."""
    images = []
    for inputs in ({}, dict(catalog=dict(file_name=str(catalogue)))):
        base = config(catalogue, **dict.fromkeys(["id", "flux_radius", "zphot"]))
        base["gal"].update(
            flux_radius=6.0, mag_auto=dict(type="RandomGaussian", mean=23, sigma=0.3),
            shear=dict(type="G1G2", g1=dict(type="RandomGaussian", sigma=0.1), g2=0.0))
        base["input"] = dict(generative_model=base["input"]["generative_model"], **inputs)
        images.append(galsim.config.BuildImage(base).array)
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("nproc, expected", [(1, 6), (2, 3), (4, 1)])
def test_threads_of_workers(catalogue, nproc, expected, tmp_path):
    """GalSim's nproc divides the cores."""
    script = """
import json, os, sys, galsim, galsim_deep
from galsim_deep import sampler, threads
threads._cores = lambda: 6
def noted(self, function, blocks):
    with open(sys.argv[2], "a") as file:
        print(threads.threads(), file=file)
    return map(function, blocks)
sampler.Sampler._mapped = noted
galsim.config.BuildImage(json.loads(sys.argv[1]))
"""
    environment = {name: value for name, value in os.environ.items()
                   if name != "GALSIM_DEEP_THREADS"}
    subprocess.run([sys.executable, "-c", script, json.dumps(config(catalogue, nproc=nproc)),
                    str(tmp_path / "threads")], check=True, timeout=200, env=environment)
    assert set((tmp_path / "threads").read_text().split()) == {str(expected)}


SOURCE = Source((1,), ())


def test_numbers_that_are_not_in_a_row():
    """A worker that has every other object makes no more than those."""
    ahead = Lookahead()
    for number in (0, 2, 4, 6, 7):
        assert ahead.galaxy(number, SOURCE, lambda: "alone",
                            lambda: pytest.fail("they are another's")) == "alone"


def test_nothing_is_made_twice():
    ahead, asked = Lookahead(), []
    for number in range(8):
        ahead.galaxy(number, SOURCE, lambda: None,
                     lambda number=number: asked.append(number) or [number] * 3)
    assert asked == [2, 5]


def test_what_is_left_of_another_source_is_not_used():
    ahead = Lookahead()
    for number in range(3):
        ahead.galaxy(number, SOURCE, lambda: "alone", lambda: ["first"] * 4)
    assert ahead.galaxy(3, SOURCE, None, None) == "first"
    assert ahead.galaxy(4, Source((2,), ()), lambda: "alone", None) == "alone"
    assert ahead.galaxy(5, SOURCE, lambda: "alone", None) == "alone"


def test_objects_are_the_same_only_if_they_are():
    catalogue = [1, 2]
    assert Source((), (catalogue,)).same(Source((), (catalogue,)))
    assert not Source((), (catalogue,)).same(Source((), ([1, 2],)))
    assert not Source((), (catalogue,)).same(Source((), ()))
    assert not Source((), ()).same(None)


def test_what_is_foreseen_leaves_no_trace():
    base, config = dict(obj_num=3), dict(id=dict(type="Sequence", first=0))
    assert foreseen(config, base, dict(id=int), 3) == [dict(id=3), dict(id=4), dict(id=5)]
    assert (base, config) == (dict(obj_num=3), dict(id=dict(type="Sequence", first=0)))


def test_what_cannot_be_read_is_not_foreseen():
    config = dict(id=dict(type="Sequence", first=0), mag=dict(type="Sequence", first="faint"))
    assert foreseen(config, dict(obj_num=3), dict(id=int), 3)
    assert not foreseen(config, dict(obj_num=3), dict(id=int, mag=float), 3)


@pytest.mark.parametrize("proxy", [False, True])
@pytest.mark.parametrize("nproc", [1, 2, 4])
def test_processes_change_no_bit(catalogue, alone, nproc, proxy, tmp_path):
    script = ("import json, sys, galsim, galsim_deep, numpy as np\n"
              "loader = galsim.config.input.valid_input_types['generative_model']\n"
              "loader.use_proxy = bool(int(sys.argv[3]))\n"
              "np.save(sys.argv[2], galsim.config.BuildImage(json.loads(sys.argv[1])).array)\n")
    subprocess.run([sys.executable, "-c", script, json.dumps(config(catalogue, nproc=nproc)),
                    str(tmp_path / "image.npy"), str(int(proxy))], check=True, timeout=200)
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy"), alone)


def test_no_more_than_a_cpu_computes():
    """Bits would depend on the number of processes if a GPU computed for one of them."""
    assert config_module.MOST_AHEAD < GPU_ROWS


# ---- classes --------------------------------------------------------------------------------


def classes(shapes_folder, catalogue, kinds, **gal):
    """A configuration of the module with classes, and a column of these in the catalogue."""
    table = Table.read(catalogue)
    table["kind"] = np.resize(kinds, COUNT)
    path = catalogue.parent / "kinds.fits"
    table.write(path, overwrite=True)
    base = config(path, **dict(dict(zphot=None, cluster=dict(type="Catalog", col="kind")), **gal))
    base["input"]["generative_model"]["file_name"] = str(shapes_folder)
    return base


@pytest.mark.parametrize("gal", [
    {}, dict(cluster="ring"), dict(cluster=1), dict(cluster=-1), dict(cluster=None),
    dict(cluster=dict(type="Sequence", first=0, last=2))], ids=str)
@pytest.mark.parametrize("kinds", [["ring", "disc", "", "bulge", "disc"], [2, 0, -1, 1, 0]],
                         ids=str)
def test_classes_are_known(shapes_folder, catalogue, asked, gal, kinds, monkeypatch):
    image = galsim.config.BuildImage(classes(shapes_folder, catalogue, kinds, **gal)).array
    assert asked[:6] == [1, 1, 8, 8, 8]
    monkeypatch.setattr(config_module, "_several", lambda *_: [])
    np.testing.assert_array_equal(galsim.config.BuildImage(
        classes(shapes_folder, catalogue, kinds, **gal)).array, image)


def test_names_and_ids_are_the_same(shapes_folder, catalogue, asked):
    images = [galsim.config.BuildImage(classes(shapes_folder, catalogue, kinds)).array
              for kinds in (["ring", "disc", "", "bulge"], [2, 0, -1, 1])]
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("gal", [dict(cluster=["ring", "disc"]), dict(cluster="$obj_num % 3"),
                                 dict(cluster=dict(type="Random", min=0, max=2))])
def test_classes_that_are_not_known_beforehand(shapes_folder, catalogue, asked, gal):
    galsim.config.BuildImage(classes(shapes_folder, catalogue, ["disc"], **gal))
    assert set(asked) == {1}


def test_an_unknown_class_is_the_fault_of_its_own_object(shapes_folder, catalogue, asked):
    kinds = ["disc"] * 10 + ["spiral"] + ["disc"] * 9
    base = classes(shapes_folder, catalogue, kinds)
    base["image"].update(nx_tiles=10)
    galsim.config.BuildImage(base)
    # The first ten are made together with none that is wrong.
    assert asked == [1, 1, 8]
    with pytest.raises(galsim.GalSimConfigError, match="spiral.*disc.*bulge.*ring"):
        galsim.config.BuildImage(classes(shapes_folder, catalogue, kinds))


@pytest.mark.parametrize("change", ["disc", 2, -1, dict(type="Catalog", col="kind")], ids=str)
def test_a_class_that_changes_between_objects(shapes_folder, catalogue, asked, change):
    base = classes(shapes_folder, catalogue, ["bulge", "disc"], cluster="ring")
    galsim.config.ProcessInput(base)
    for number in range(8):
        base["obj_num"] = number
        if number == 5:
            base["gal"]["cluster"] = change
        galaxy = galsim.config.BuildGSObject(base, "gal")[0]
    assert max(asked) == 8
    expected = classes(shapes_folder, catalogue, ["bulge", "disc"], cluster=change)
    galsim.config.ProcessInput(expected)
    expected["obj_num"] = 7
    assert galaxy == galsim.config.BuildGSObject(expected, "gal")[0]


@pytest.mark.parametrize("proxy", [False, True])
@pytest.mark.parametrize("nproc", [1, 2])
def test_processes_change_no_bit_of_classes(shapes_folder, catalogue, nproc, proxy, tmp_path):
    kinds = ["ring", "disc", "", "bulge", "disc"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_module, "_several", lambda *_: [])
        alone = galsim.config.BuildImage(classes(shapes_folder, catalogue, kinds)).array
    base = classes(shapes_folder, catalogue, kinds)
    base["image"]["nproc"] = nproc
    script = ("import json, sys, galsim, galsim_deep, numpy as np\n"
              "loader = galsim.config.input.valid_input_types['generative_model']\n"
              "loader.use_proxy = bool(int(sys.argv[3]))\n"
              "np.save(sys.argv[2], galsim.config.BuildImage(json.loads(sys.argv[1])).array)\n")
    subprocess.run([sys.executable, "-c", script, json.dumps(base),
                    str(tmp_path / "image.npy"), str(int(proxy))], check=True, timeout=200)
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy"), alone)
