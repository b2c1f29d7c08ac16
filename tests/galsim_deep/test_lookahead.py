"""What is made ahead is made for those that come, and changes nothing but time."""

import json
import subprocess
import sys

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep import config as config_module
from galsim_deep.lookahead import Lookahead, foreseen

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


class Counting:
    """A model that counts how often, and for how many, it was asked."""

    def __init__(self, model):
        self.model, self.asked = model, []

    def images(self, table, seeds):
        self.asked.append(len(seeds))
        return self.model.images(table, seeds=seeds)


@pytest.fixture
def asked(monkeypatch, model):
    """How many stamps were made at a time."""
    found, images = [], type(model).images

    def counted(self, table, **kwargs):
        made = images(self, table, **kwargs)
        found.append(len(made))
        return made

    monkeypatch.setattr(type(model), "images", counted)
    monkeypatch.setattr(config_module, "threads", lambda: 1)
    monkeypatch.setattr(config_module, "_ahead", Lookahead())
    return found


@pytest.fixture
def alone(catalogue, monkeypatch):
    """The image, its galaxies made one by one."""
    with monkeypatch.context() as patch:
        patch.setattr(config_module, "_upcoming", lambda *_: [])
        patch.setattr(config_module, "_ahead", Lookahead())
        return galsim.config.BuildImage(config(catalogue)).array


def test_galaxies_of_a_catalogue_are_made_together(catalogue, asked, alone):
    image = galsim.config.BuildImage(config(catalogue)).array
    assert asked[-4:] == [1, 8, 8, 8]
    np.testing.assert_array_equal(image, alone)


@pytest.mark.parametrize("gal", [
    dict(mag_auto=dict(type="Random", min=22, max=24)), dict(mag_auto="$22 + obj_num / 100"),
    dict(mag_auto=dict(type="Catalog", col="mag_auto", index=dict(type="Random", min=0, max=5))),
    dict(id=None)])
def test_what_is_not_known_beforehand_is_made_alone(catalogue, asked, gal):
    galsim.config.BuildImage(config(catalogue, **gal))
    assert set(asked) == {1}


@pytest.mark.parametrize("gal", [
    dict(zphot=0.5), dict(zphot=None), dict(id=dict(type="Sequence", first=5)),
    dict(mag_auto=dict(type="Catalog", col="mag_auto", index=dict(type="Sequence", first=3)))])
def test_constants_and_sequences_are_known(catalogue, asked, gal):
    galsim.config.BuildImage(config(catalogue, **gal))
    assert max(asked) == 8


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


def test_wrong_foresight_does_no_harm(model):
    """Stamps are handed out for the columns and the id that they were made for only."""
    ahead, counting = Lookahead(), Counting(model)
    one = dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5)
    other = dict(one, mag_auto=23.0)
    ahead.stamp(counting, one, 6, 0, lambda: pytest.fail("nothing is known of the next"))
    ahead.stamp(counting, one, 7, 1, lambda: [(one, 8), (one, 9)])
    for number, (columns, identity) in enumerate(((other, 8), (one, 9)), 2):
        stamp = ahead.stamp(counting, columns, identity, number, lambda: [])
        expected = model.images(columns, seeds=[identity])[0]
        np.testing.assert_array_equal(stamp, expected)
    assert counting.asked == [1, 3, 1, 1]


def test_objects_of_another_model(model):
    ahead, first, second = Lookahead(), Counting(model), Counting(model)
    one = dict(flux_radius=6.0, mag_auto=22.0, zphot=np.nan)
    ahead.stamp(first, one, 6, 0, list)
    ahead.stamp(first, one, 7, 1, lambda: [(one, 8)])
    ahead.stamp(first, one, 8, 2, lambda: pytest.fail("it has been made"))
    ahead.stamp(second, one, 8, 3, list)
    assert (first.asked, second.asked) == ([1, 2], [1])


def test_a_worker_that_has_every_other_object_makes_no_more_than_those(model):
    ahead, counting = Lookahead(), Counting(model)
    one = dict(flux_radius=6.0, mag_auto=22.0, zphot=0.5)
    for number in (0, 2, 4):
        ahead.stamp(counting, one, number, number, lambda: pytest.fail("they are another's"))
    assert counting.asked == [1, 1, 1]


def test_not_beyond_the_last_object():
    base = dict(obj_num=3, start_obj_num=2, nobjects=4)
    found = foreseen(dict(id=dict(type="Sequence", first=0)), base, dict(id=int), 7)
    assert found == [dict(id=2), dict(id=3)]  # counted from the first object of the image
    assert base == dict(obj_num=3, start_obj_num=2, nobjects=4)


@pytest.mark.parametrize("nproc", [2, 4])
def test_processes_change_no_bit(catalogue, alone, nproc, tmp_path):
    script = ("import json, sys, galsim, galsim_deep, numpy as np\n"
              "np.save(sys.argv[2], galsim.config.BuildImage(json.loads(sys.argv[1])).array)\n")
    subprocess.run([sys.executable, "-c", script, json.dumps(config(catalogue, nproc=nproc)),
                    str(tmp_path / "image.npy")], check=True, timeout=200)
    np.testing.assert_array_equal(np.load(tmp_path / "image.npy"), alone)
