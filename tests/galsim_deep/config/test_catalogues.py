"""Catalogues that are read by columns give what those of GalSim give, errors included."""

import copy
import json
import subprocess
import sys

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.config.catalogues import FastCatalogue, FastCatalogues


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.fits"
    Table(dict(a=np.arange(5), b=np.linspace(0, 1, 5, dtype=np.float32),
               name=["x", "yy ", "z", "w", "v"], flag=[True, False] * 2 + [True])).write(path)
    return path


@pytest.fixture
def pair(file):
    """A catalogue, and the fast one that answers for it."""
    catalogue = galsim.Catalog(str(file))
    return catalogue, FastCatalogue(catalogue)


def test_the_same_values(pair):
    catalogue, fast = pair
    for row in range(5):
        for name in ("a", "b", "name", "flag"):
            assert fast.get(row, name) == catalogue.get(row, name)
            assert type(fast.get(row, name)) is type(catalogue.get(row, name))
        assert fast.getFloat(row, "b") == catalogue.getFloat(row, "b")
        assert fast.getInt(row, "a") == catalogue.getInt(row, "a")
    assert fast.getNObjects() == 5 and fast.isFits() and fast.ncols == 4


@pytest.mark.parametrize("row, name", [(0, "c"), (5, "a"), (-1, "a"), ("x", "a"), (1.0, "a")])
def test_the_same_errors(pair, row, name):
    catalogue, fast = pair
    with pytest.raises(galsim.GalSimError) as expected:
        catalogue.get(row, name)
    with pytest.raises(type(expected.value)) as caught:
        fast.get(row, name)
    assert str(caught.value) == str(expected.value)


def test_a_text_catalogue(tmp_path):
    path = tmp_path / "catalogue.txt"
    path.write_text("1 2.5\n3 4.5\n")
    fast = FastCatalogue(galsim.Catalog(str(path)))
    assert not fast.isFits() and fast.getFloat(1, 1) == 4.5


def test_the_configuration_is_changed_back(file):
    catalogue, other = galsim.Catalog(str(file)), object()
    catalogues = [catalogue, None]
    base = dict(a=1, _input_objs=dict(catalog=catalogues, other=[other]))
    replaced, inside = FastCatalogues(), []
    for _ in range(2):
        with pytest.raises(KeyError), replaced.in_place(base):
            base["kept"] = True
            inside.append(base["_input_objs"]["catalog"])
            raise KeyError
        assert base["_input_objs"]["catalog"] is catalogues and base["kept"]
    assert base == dict(a=1, kept=True, _input_objs=dict(catalog=catalogues, other=[other]))
    # The same catalogue has the same fast one, whose columns were read already.
    assert isinstance(inside[0][0], FastCatalogue) and inside[0][0] is inside[1][0]
    assert inside[0][1] is None


def test_nothing_is_read_before_the_first_request():
    """These objects could not answer one."""
    catalogues = [object() for _ in range(20)]
    base, replaced, inside = dict(_input_objs=dict(catalog=catalogues)), FastCatalogues(), []
    for _ in range(2):
        with replaced.in_place(base):
            inside.append(base["_input_objs"]["catalog"])
    assert all(first is second for first, second in zip(*inside, strict=True))


@pytest.mark.parametrize("base", [{}, dict(_input_objs={}), dict(_input_objs=dict(other=[1])),
                                  dict(_input_objs=dict(catalog=[None]))])
def test_no_catalogue(base):
    before = copy.deepcopy(base)
    with FastCatalogues().in_place(base):
        assert base == before


@pytest.mark.long
@pytest.mark.parametrize("most", [0, 100])
def test_behind_a_proxy(file, most):
    """Copied as a whole if it is not too large, and otherwise asked for each value."""
    script = """
import sys, galsim, galsim_deep, json
from galsim_deep.config import catalogues
catalogues.MAX_VALUES = int(sys.argv[2])
config = dict(input=dict(catalog=dict(file_name=sys.argv[1])), image=dict(nproc=2))
galsim.config.ProcessInput(config)
proxy, = config["_input_objs"]["catalog"]
with catalogues.FastCatalogues().in_place(config):
    fast, = config["_input_objs"]["catalog"]
values = [[fast.getInt(row, "a"), fast.getFloat(row, "b"), fast.get(row, "name")]
          for row in range(5)]
try:
    fast.get(9, "a")
except galsim.GalSimIndexError:
    print(json.dumps([type(proxy).__name__, len(fast._columns), values]))
"""
    done = subprocess.run([sys.executable, "-c", script, str(file), str(most)],
                          capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    kind, copied, values = json.loads(done.stdout)
    assert kind == "Catalog_Proxy" and copied == (4 if most else 0)
    catalogue = galsim.Catalog(str(file))
    assert values == [[catalogue.getInt(row, "a"), catalogue.getFloat(row, "b"),
                       catalogue.get(row, "name")] for row in range(5)]
