"""Galaxies are made ahead where the next objects are known, and the images stay the same."""

import json
import os
import subprocess
import sys
import warnings

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.config import galaxy as galaxy_module
from galsim_deep.config.lookahead import LookAhead
from galsim_deep.modules.module import GPU_ROWS

COLUMNS = ("hlr", "mag_auto", "zphot")
COUNT = 20


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    rng = np.random.default_rng(2)
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.fits"
    Table(dict(id=rng.permutation(1000)[:COUNT], hlr=rng.uniform(0.1, 0.4, COUNT),
               flux_radius=rng.uniform(4, 12, COUNT),
               mag_auto=rng.uniform(21, 25, COUNT), zphot=rng.uniform(0.2, 1.5, COUNT))).write(path)
    return path


def config(catalogue, nproc=1, **gal):
    """A configuration of galaxies of a shipped module, whose fields are columns of a catalogue."""
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
def batches(monkeypatch, model):
    """A list of how many galaxies were made together, at each call of ``sample``."""
    sizes, sample = [], type(model).sample

    def counted(self, table, **kwargs):
        galaxies = sample(self, table, **kwargs)
        sizes.append(len(galaxies))
        return galaxies

    monkeypatch.setattr(type(model), "sample", counted)
    monkeypatch.setattr(galaxy_module, "threads", lambda: 1)
    monkeypatch.setattr(galaxy_module, "_look_ahead", LookAhead())
    return sizes


def image_of(base):
    return galsim.config.BuildImage(base).array


def image_made_alone(base):
    """The same image, with each galaxy made when GalSim asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LookAhead, "galaxy", lambda *_: None)
        return image_of(base)


@pytest.fixture(scope="module")
def alone(catalogue):
    return image_made_alone(config(catalogue))


def test_galaxies_of_a_catalogue_are_made_together(catalogue, batches, alone):
    image = image_of(config(catalogue))
    assert batches == [1, 1, 8, 8, 8]
    np.testing.assert_array_equal(image, alone)


def test_other_fields_may_refer_to_those_of_galaxies_made_ahead(catalogue, batches, tmp_path):
    """To what GalSim calls their current values."""
    described = config(catalogue, flux="$10**(0.4 * (26 - @gal.mag_auto))")
    named = {name: f"gal.{name}" for name in (*COLUMNS, "id")}
    described["output"] = dict(
        dir=str(tmp_path), file_name="image.fits",
        truth=dict(file_name="truth.fits", columns=dict(named, flux="gal.flux")))
    galsim.config.Process(described)
    assert max(batches) == 8
    truth, real = (Table.read(path) for path in (tmp_path / "truth.fits", catalogue))
    for name in named:
        np.testing.assert_array_equal(truth[name], real[name])
    np.testing.assert_allclose(truth["flux"], 10 ** (0.4 * (26 - real["mag_auto"])))


def test_threads_have_a_block_each(catalogue, batches, alone, monkeypatch):
    monkeypatch.setattr(galaxy_module, "threads", lambda: 2)
    image = image_of(config(catalogue))
    assert batches == [1, 1, 16, 16]
    np.testing.assert_array_equal(image, alone)


@pytest.mark.parametrize("gal", [
    dict(mag_auto=dict(type="Random", min=22, max=24)), dict(mag_auto="$22 + obj_num / 100"),
    dict(id=dict(type="Sequence", index_key="image_num")),
    dict(mag_auto=dict(type="Catalog", col="mag_auto", index=dict(type="Random", min=0, max=5))),
    dict(id=None)], ids=str)
def test_what_is_not_known_beforehand_is_made_alone(catalogue, batches, gal):
    image_of(config(catalogue, **gal))
    assert set(batches) == {1}


@pytest.mark.parametrize("gal", [
    dict(zphot=0.5), dict(zphot=None), dict(id=dict(type="Sequence", first=5)),
    dict(mag_auto=dict(type="Catalog", col="mag_auto", index=dict(type="Sequence", first=3))),
    dict(half_light_radius=dict(type="Sequence", first=0.2, step=0.01)),
    dict(x_interpolant="lanczos5", gsparams=dict(folding_threshold=1e-2))], ids=str)
def test_constants_and_sequences_are_known(catalogue, batches, gal):
    image = image_of(config(catalogue, **gal))
    assert max(batches) == 8
    np.testing.assert_array_equal(image, image_made_alone(config(catalogue, **gal)))


@pytest.mark.long
def test_options_that_change(catalogue, batches):
    """Galaxies with different options are not made together."""
    gal = dict(pad_factor=dict(type="Sequence", first=4, step=2, repeat=4))
    image = image_of(config(catalogue, **gal))
    assert max(batches) == 4
    np.testing.assert_array_equal(image, image_made_alone(config(catalogue, **gal)))


@pytest.mark.parametrize("repeat", [2, 3, 5])
@pytest.mark.parametrize("where", ["column", "sequence", "index"])
def test_values_that_are_repeated(catalogue, batches, repeat, where):
    gal = dict(
        column=dict(hlr=dict(type="Catalog", col="hlr", repeat=repeat)),
        sequence=dict(hlr=dict(type="Sequence", first=0.15, step=0.02, repeat=repeat)),
        index=dict(hlr=dict(type="Catalog", col="hlr", index=dict(
            type="Sequence", repeat=repeat))))[where]
    np.testing.assert_array_equal(image_of(config(catalogue, **gal)),
                                  image_made_alone(config(catalogue, **gal)))


def test_a_catalogue_that_nobody_reads(catalogue):
    """What GalSim keeps in the configuration while it reads stays there."""
    images = []
    for inputs in ({}, dict(catalog=dict(file_name=str(catalogue)))):
        base = config(catalogue, **dict.fromkeys(["id", "hlr", "zphot"]))
        base["gal"].update(
            hlr=0.2, mag_auto=dict(type="RandomGaussian", mean=23, sigma=0.3),
            shear=dict(type="G1G2", g1=dict(type="RandomGaussian", sigma=0.1), g2=0.0))
        base["input"] = dict(generative_model=base["input"]["generative_model"], **inputs)
        images.append(image_of(base))
    np.testing.assert_array_equal(*images)


# ---- errors and warnings --------------------------------------------------------------------


def with_magnitude(catalogue, row, value):
    """A copy of the catalogue with another magnitude in one row."""
    table = Table.read(catalogue)
    table["mag_auto"][row] = value
    path = catalogue.parent / f"row_{row}_{value}.fits"
    table.write(path, overwrite=True)
    return path


def test_an_error_comes_with_its_own_object(catalogue, batches):
    wrong = with_magnitude(catalogue, 5, np.inf)
    base = config(wrong)
    base["image"].update(nx_tiles=5)
    galsim.config.BuildImage(base)
    with pytest.raises(galsim.GalSimError) as caught:
        galsim.config.BuildImage(config(wrong))
    assert "mag_auto" in str(caught.value)


def test_a_value_that_cannot_be_read_is_left_to_its_own_object(catalogue, batches):
    """The catalogue ends before the objects do."""
    base = config(catalogue, mag_auto=dict(
        type="Catalog", col="mag_auto", index=dict(type="Sequence", first=COUNT - 6, last=COUNT)))
    base["image"].update(nx_tiles=6)
    galsim.config.BuildImage(base)
    assert batches == [1, 1, 4]
    base["image"].update(nx_tiles=7)
    with pytest.raises(galsim.GalSimError) as caught:
        galsim.config.BuildImage(base)
    assert str(COUNT) in str(caught.value)


def test_a_warning_comes_with_its_own_object(catalogue, batches):
    odd = with_magnitude(catalogue, 6, 29.0)
    base = config(odd)
    base["image"].update(nx_tiles=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error", galsim.GalSimWarning)
        galsim.config.BuildImage(base)
    with pytest.warns(galsim.GalSimWarning, match="mag_auto") as caught:
        galsim.config.BuildImage(config(odd))
    assert len(caught) == 1


def test_objects_before_one_that_warns_are_made_together(catalogue, batches):
    with pytest.warns(galsim.GalSimWarning, match="mag_auto"):
        galsim.config.BuildImage(config(with_magnitude(catalogue, 10, 29.0)))
    assert batches == [1, 1, 8, 1, 8, 8]


def test_a_warning_is_given_as_often_as_without(catalogue, batches):
    """Once for each place in the code, as Python does unless it is told otherwise."""
    counts = []
    for make in (image_of, image_made_alone):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            make(config(catalogue, mag_auto=28.4))
        counts.append(len(caught))
    assert counts[0] == counts[1] > 0


# ---- changes between objects ----------------------------------------------------------------


def test_fields_that_change_between_objects(catalogue, batches):
    """A script may build objects itself, and change anything in between."""
    base = config(catalogue, mag_auto=22.0)
    galsim.config.ProcessInput(base)
    fluxes = []
    for number in range(8):
        base["obj_num"] = number
        if number == 5:
            base["gal"]["mag_auto"] = 24.0
        fluxes.append(galsim.config.BuildGSObject(base, "gal")[0].flux)
    assert max(batches) == 8
    np.testing.assert_allclose(fluxes[5:], np.array(fluxes[:3]) * 10**-0.8, rtol=1e-4)


def test_another_catalogue(catalogue, batches):
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
    assert max(batches) == 8
    assert galaxy == galsim.config.BuildGSObject(expected, "gal")[0]


def test_another_model(catalogue, batches, scaled_folder, shapes):
    """A script may also put another model in the place of the first."""
    base = config(catalogue, hlr=None, zphot=None,
                  flux_radius=dict(type="Catalog", col="flux_radius"))
    base["input"]["generative_model"]["file_name"] = str(scaled_folder)
    galsim.config.ProcessInput(base)
    for number in range(6):
        base["obj_num"] = number
        if number == 4:
            base["_input_objs"]["generative_model"] = [shapes]
        galaxy = galsim.config.BuildGSObject(base, "gal")[0]
    row = Table.read(catalogue)[5]
    assert max(batches) == 8
    assert galaxy == shapes.sample(
        {name: float(row[name]) for name in ("flux_radius", "mag_auto")}, seeds=[row["id"]])[0]


def test_other_gsparams(catalogue, batches):
    base = config(catalogue)
    galsim.config.ProcessInput(base)
    for number in range(6):
        base["obj_num"] = number
        gsparams = dict(folding_threshold=0.01) if number > 3 else {}
        galaxy = galsim.config.BuildGSObject(base, "gal", gsparams=gsparams)[0]
    assert max(batches) == 8
    assert galaxy.gsparams.folding_threshold == 0.01


# ---- files, processes and threads -----------------------------------------------------------


def run(script, *arguments, **options):
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True,
                          text=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("level", ["image", "output"])
@pytest.mark.parametrize("nproc", [1, 3])
def test_several_files(catalogue, alone, nproc, level, tmp_path):
    """Each file has the first rows of the catalogue, whatever was made ahead in the one before."""
    base = config(catalogue)
    base["image"]["nx_tiles"] = 5
    base[level] = dict(base.get(level, {}), nproc=nproc)
    name = dict(type="NumberedFile", root="image", num=dict(type="Sequence", last=2), ext=".fits")
    base["output"] = dict(base.get("output", {}), dir=str(tmp_path), file_name=name, nfiles=3)
    run("import json, sys, galsim; galsim.config.Process(json.loads(sys.argv[1]))",
        json.dumps(base))
    files = sorted(tmp_path.glob("*.fits"))
    assert len(files) == 3
    for file in files:
        np.testing.assert_array_equal(galsim.fits.read(str(file)).array, alone[:, :80])


PROCESSES = """
import json, sys, galsim, galsim_deep, numpy as np
loader = galsim.config.input.valid_input_types["generative_model"]
loader.use_proxy = sys.argv[3] == "True"
np.save(sys.argv[2], galsim.config.BuildImage(json.loads(sys.argv[1])).array)
"""


@pytest.mark.long
@pytest.mark.parametrize("proxy", [False, True])
@pytest.mark.parametrize("nproc", [1, 2, 4])
def test_processes_change_no_bit(catalogue, alone, nproc, proxy, tmp_path):
    path = str(tmp_path / "image.npy")
    run(PROCESSES, json.dumps(config(catalogue, nproc=nproc)), path, str(proxy))
    np.testing.assert_array_equal(np.load(path), alone)


@pytest.mark.long
@pytest.mark.parametrize("nproc, expected", [(1, 6), (2, 3), (4, 1)])
def test_threads_of_workers(catalogue, nproc, expected, tmp_path):
    """GalSim's nproc divides the cores."""
    environment = {name: value for name, value in os.environ.items()
                   if name != "GALSIM_DEEP_THREADS"}
    run("""
import json, sys, galsim, galsim_deep
from galsim_deep.modules.runners.litert import LiteRTRunner
from galsim_deep.runtime import threads
threads.available_cores = lambda: 6
call = LiteRTRunner.call
def noted(*arguments):
    with open(sys.argv[2], "a") as file:
        print(threads.threads(), file=file)
    return call(*arguments)
LiteRTRunner.call = noted
galsim.config.BuildImage(json.loads(sys.argv[1]))
""", json.dumps(config(catalogue, nproc=nproc)), str(tmp_path / "threads"), env=environment)
    assert set((tmp_path / "threads").read_text().split()) == {str(expected)}


def test_no_more_than_a_cpu_computes():
    """Bits would depend on the number of processes if a GPU computed for one of them."""
    assert galaxy_module.MAX_AHEAD < GPU_ROWS


# ---- the look-ahead itself ------------------------------------------------------------------


class Objects:
    """Asks a `LookAhead` for objects with a constant field, and notes which ones are made."""

    def __init__(self, per_call=3):
        self.look_ahead, self.made, self.per_call = LookAhead(), [], per_call
        self.config = dict(id=dict(type="Sequence", first=0))

    def galaxy(self, number, model="model"):
        """The number of the galaxy; None if it has to be made alone."""
        return self.look_ahead.galaxy(self.config, dict(obj_num=number), dict(id=int),
                                      self.per_call, self.sample, (model,))

    def sample(self, rows):
        self.made.append([row["id"] for row in rows])
        return self.made[-1]


def test_nothing_is_made_ahead_unless_objects_come_in_a_row():
    """A worker that has every other object makes those only."""
    objects = Objects()
    assert [objects.galaxy(number) for number in (0, 2, 4, 6, 7)] == [None] * 5
    assert not objects.made


def test_nothing_is_made_twice():
    objects = Objects()
    assert [objects.galaxy(number) for number in range(8)] == [None, None, *range(2, 8)]
    assert objects.made == [[2, 3, 4], [5, 6, 7]]


def test_nothing_is_kept_that_was_used():
    objects = Objects(per_call=4)
    for number in range(4):
        objects.galaxy(number)
    assert objects.look_ahead._galaxies == {4: 4, 5: 5}
    assert objects.galaxy(3) is None  # if it is asked for again, it is made alone


def test_what_was_made_for_another_model_is_not_used():
    objects = Objects()
    for number in range(3):
        objects.galaxy(number)
    assert objects.galaxy(3) == 3
    assert objects.galaxy(4, model="another") is None
    assert objects.galaxy(5, model="another") is None
    assert objects.made == [[2, 3, 4]]


def test_reading_ahead_leaves_no_trace_in_the_configuration():
    objects = Objects()
    for number in range(4):
        objects.galaxy(number)
    assert objects.made and objects.config == dict(id=dict(type="Sequence", first=0))


def test_a_field_that_cannot_be_read_ahead():
    objects = Objects()
    objects.config["id"]["first"] = "many"
    assert [objects.galaxy(number) for number in range(4)] == [None] * 4
    assert not objects.made


# ---- classes --------------------------------------------------------------------------------


def with_classes(shapes_folder, catalogue, kinds, **gal):
    """A configuration of the module with classes, and a column of these in the catalogue."""
    table = Table.read(catalogue)
    table["kind"] = np.resize(kinds, COUNT)
    path = catalogue.parent / "kinds.fits"
    table.write(path, overwrite=True)
    fields = dict(hlr=None, zphot=None, flux_radius=dict(type="Catalog", col="flux_radius"),
                  galaxy_class=dict(type="Catalog", col="kind")) | gal
    base = config(path, **fields)
    base["input"]["generative_model"]["file_name"] = str(shapes_folder)
    return base


@pytest.mark.parametrize("gal", [
    {}, dict(galaxy_class="ring"), dict(galaxy_class=1), dict(galaxy_class=-1),
    dict(galaxy_class=None), dict(galaxy_class=dict(type="Sequence", first=0, last=2))], ids=str)
@pytest.mark.parametrize("kinds", [["ring", "disc", "", "bulge", "disc"], [2, 0, -1, 1, 0]],
                         ids=str)
def test_classes_are_known(shapes_folder, catalogue, batches, gal, kinds):
    image = image_of(with_classes(shapes_folder, catalogue, kinds, **gal))
    assert batches[:6] == [1, 1, 8, 8, 8]
    np.testing.assert_array_equal(
        image, image_made_alone(with_classes(shapes_folder, catalogue, kinds, **gal)))


def test_names_and_numbers_are_the_same(shapes_folder, catalogue, batches):
    images = [image_of(with_classes(shapes_folder, catalogue, kinds))
              for kinds in (["ring", "disc", "", "bulge"], [2, 0, -1, 1])]
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("gal", [
    dict(galaxy_class=["ring", "disc"]), dict(galaxy_class="$obj_num % 3"),
    dict(galaxy_class=dict(type="Random", min=0, max=2))], ids=str)
def test_classes_that_are_not_known_beforehand(shapes_folder, catalogue, batches, gal):
    galsim.config.BuildImage(with_classes(shapes_folder, catalogue, ["disc"], **gal))
    assert set(batches) == {1}


def test_an_unknown_class_is_an_error_of_its_own_object(shapes_folder, catalogue, batches):
    kinds = ["disc"] * 10 + ["spiral"] + ["disc"] * 9
    base = with_classes(shapes_folder, catalogue, kinds)
    base["image"].update(nx_tiles=10)
    galsim.config.BuildImage(base)
    # The first ten are made together with none that is wrong.
    assert batches == [1, 1, 8]
    with pytest.raises(galsim.GalSimConfigError) as caught:
        galsim.config.BuildImage(with_classes(shapes_folder, catalogue, kinds))
    for name in ("spiral", "disc", "bulge", "ring"):
        assert name in str(caught.value)


@pytest.mark.parametrize("change", ["disc", 2, -1, dict(type="Catalog", col="kind")], ids=str)
def test_a_class_that_changes_between_objects(shapes_folder, catalogue, batches, change):
    base = with_classes(shapes_folder, catalogue, ["bulge", "disc"], galaxy_class="ring")
    galsim.config.ProcessInput(base)
    for number in range(8):
        base["obj_num"] = number
        if number == 5:
            base["gal"]["galaxy_class"] = change
        galaxy = galsim.config.BuildGSObject(base, "gal")[0]
    assert max(batches) == 8
    expected = with_classes(shapes_folder, catalogue, ["bulge", "disc"], galaxy_class=change)
    galsim.config.ProcessInput(expected)
    expected["obj_num"] = 7
    assert galaxy == galsim.config.BuildGSObject(expected, "gal")[0]


@pytest.mark.long
@pytest.mark.parametrize("proxy", [False, True])
@pytest.mark.parametrize("nproc", [1, 2])
def test_processes_change_no_bit_of_classes(shapes_folder, catalogue, nproc, proxy, tmp_path):
    kinds = ["ring", "disc", "", "bulge", "disc"]
    expected = image_made_alone(with_classes(shapes_folder, catalogue, kinds))
    base, path = with_classes(shapes_folder, catalogue, kinds), str(tmp_path / "image.npy")
    base["image"]["nproc"] = nproc
    run(PROCESSES, json.dumps(base), path, str(proxy))
    np.testing.assert_array_equal(np.load(path), expected)
