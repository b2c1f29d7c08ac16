"""What the config types rely on inside of GalSim, in this version of GalSim."""

import subprocess
import sys
from pathlib import Path

import galsim
import numpy as np
import pytest
from astropy.table import Table

import galsim_deep.config
from galsim_deep.config._galsim_internals import (
    catalogue_data,
    input_catalogues,
    is_elsewhere,
    replaced_catalogues,
)


@pytest.fixture
def config(tmp_path):
    """A configuration with two input catalogues of three magnitudes each, which GalSim has read."""
    fields = []
    for number in range(2):
        Table(dict(mag_auto=[22.5, 24.0, 25.0 + number])).write(tmp_path / f"{number}.fits")
        fields.append(dict(file_name=f"{number}.fits", dir=str(tmp_path)))
    config = dict(input=dict(catalog=fields), index_key="obj_num", obj_num=2,
                  mag_auto=dict(type="Catalog", num=1, col="mag_auto"))
    galsim.config.ProcessInput(config)
    return config


def test_where_galsim_keeps_input_catalogues(config):
    catalogues = input_catalogues(config)
    assert [catalogue.getFloat(2, "mag_auto") for catalogue in catalogues] == [25.0, 26.0]
    assert not any(map(is_elsewhere, catalogues))
    assert catalogue_data(catalogues[1])["mag_auto"].tolist() == [22.5, 24.0, 26.0]


def test_a_configuration_without_input_catalogues():
    assert len(input_catalogues({})) == 0
    config = dict(input=dict(dict=dict(file_name="none.yaml")))
    with pytest.raises(OSError):
        galsim.config.ProcessInput(config)
    assert len(input_catalogues(config)) == 0


def test_galsim_reads_what_is_in_place(config):
    class Other:
        def isFits(self):
            return True

        def getNObjects(self):
            return 3

        def getFloat(self, index, col):
            return 10.0 * index

    before = input_catalogues(config)
    with replaced_catalogues(config, [Other(), Other()]):
        assert galsim.config.ParseValue(config, "mag_auto", config, float)[0] == 20.0
    assert input_catalogues(config) is before
    config["mag_auto"] = dict(type="Catalog", num=1, col="mag_auto")
    assert galsim.config.ParseValue(config, "mag_auto", config, float)[0] == 26.0


PROXY = """
import sys, galsim
from galsim_deep.config._galsim_internals import catalogue_data, input_catalogues, is_elsewhere
if __name__ == "__main__":
    # GalSim keeps inputs in a process of their own where an image is made by several.
    config = dict(input=dict(catalog=dict(file_name=sys.argv[1])), image=dict(nproc=2))
    galsim.config.ProcessInput(config)
    (catalogue,) = input_catalogues(config)
    assert is_elsewhere(catalogue), type(catalogue)
    print(*catalogue_data(catalogue)["mag_auto"])
"""


def test_a_catalogue_in_another_process(tmp_path):
    path = tmp_path / "galaxies.fits"
    Table(dict(mag_auto=np.array([22.5, 24.0]))).write(path)
    script = tmp_path / "script.py"
    script.write_text(PROXY)
    done = subprocess.run([sys.executable, str(script), str(path)], check=True,
                          capture_output=True, text=True)
    assert done.stdout.split() == ["22.5", "24.0"]


def test_internals_are_used_in_one_file():
    """Names under which GalSim keeps inputs occur in no other file of the package."""
    for path in Path(galsim_deep.config.__file__).parent.parent.rglob("*.py"):
        if path.name != "_galsim_internals.py":
            text = path.read_text()
            assert "_input_objs" not in text and "_callmethod" not in text, path
