"""Catalogues that are near give what those of GalSim give, errors included."""

import copy
import json
import subprocess
import sys

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.catalogues import near_catalogues


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.fits"
    Table(dict(a=np.arange(5), b=np.linspace(0, 1, 5, dtype=np.float32),
               name=["x", "yy ", "z", "w", "v"], flag=[True, False] * 2 + [True])).write(path)
    return path


def near(*catalogues):
    """What stands for some catalogues."""
    base = dict(_input_objs=dict(catalog=[*catalogues]))
    with near_catalogues(base):
        return base["_input_objs"]["catalog"]


@pytest.fixture
def pair(file):
    catalogue = galsim.Catalog(str(file))
    return catalogue, near(catalogue)[0]


def test_the_same_values(pair):
    catalogue, near = pair
    for row in range(5):
        for name in ("a", "b", "name", "flag"):
            assert near.get(row, name) == catalogue.get(row, name)
            assert type(near.get(row, name)) is type(catalogue.get(row, name))
        assert near.getFloat(row, "b") == catalogue.getFloat(row, "b")
        assert near.getInt(row, "a") == catalogue.getInt(row, "a")
    assert near.getNObjects() == 5 and near.isFits() and near.ncols == 4


@pytest.mark.parametrize("row, name", [(0, "c"), (5, "a"), (-1, "a"), ("x", "a"), (1.0, "a")])
def test_the_same_errors(pair, row, name):
    catalogue, near = pair
    with pytest.raises(galsim.GalSimError) as wanted:
        catalogue.get(row, name)
    with pytest.raises(type(wanted.value)) as found:
        near.get(row, name)
    assert str(found.value) == str(wanted.value)


def test_text(tmp_path):
    path = tmp_path / "catalogue.txt"
    path.write_text("1 2.5\n3 4.5\n")
    catalogue = galsim.Catalog(str(path))
    found, = near(catalogue)
    assert not found.isFits() and found.getFloat(1, 1) == 4.5


def test_the_configuration_is_changed_back(file):
    catalogue, other = galsim.Catalog(str(file)), object()
    catalogues = [catalogue, None]
    base = dict(a=1, _input_objs=dict(catalog=catalogues, other=[other]))
    found = []
    for _ in range(2):
        with pytest.raises(KeyError), near_catalogues(base):
            base["kept"] = True
            found.append(base["_input_objs"]["catalog"])
            raise KeyError
        assert base["_input_objs"]["catalog"] is catalogues and base["kept"]
    assert base == dict(a=1, kept=True, _input_objs=dict(catalog=catalogues, other=[other]))
    assert found[0][1] is None and found[0][0] is found[1][0]


def test_many_catalogues_that_nobody_reads():
    """Nothing is asked of a catalogue before it is read."""
    catalogues = [object() for _ in range(20)]
    first, second = near(*catalogues), near(*catalogues)
    assert all(one is other for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("base", [{}, dict(_input_objs={}), dict(_input_objs=dict(other=[1])),
                                  dict(_input_objs=dict(catalog=[None]))])
def test_no_catalogue(base):
    before = copy.deepcopy(base)
    with near_catalogues(base):
        assert base == before


@pytest.mark.parametrize("most", [0, 100])
def test_behind_a_proxy(file, most):
    """Copied as a whole if it is not too large, and asked value by value if it is."""
    script = """
import sys, galsim, galsim_deep, json
from galsim_deep import catalogues
catalogues.MOST = int(sys.argv[2])
config = dict(input=dict(catalog=dict(file_name=sys.argv[1])), image=dict(nproc=2))
galsim.config.ProcessInput(config)
proxy, = config["_input_objs"]["catalog"]
with catalogues.near_catalogues(config):
    near, = config["_input_objs"]["catalog"]
found = [[near.getInt(row, "a"), near.getFloat(row, "b"), near.get(row, "name")]
         for row in range(5)]
try:
    near.get(9, "a")
except galsim.GalSimIndexError:
    print(json.dumps([type(proxy).__name__, len(near._columns), found]))
"""
    done = subprocess.run([sys.executable, "-c", script, str(file), str(most)], check=True,
                          capture_output=True, text=True, timeout=100)
    kind, copied, found = json.loads(done.stdout)
    assert kind == "Catalog_Proxy" and copied == (4 if most else 0)
    catalogue = galsim.Catalog(str(file))
    assert found == [[catalogue.getInt(row, "a"), catalogue.getFloat(row, "b"),
                      catalogue.get(row, "name")] for row in range(5)]
