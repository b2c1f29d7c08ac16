"""The compact tables of public catalogues, where the public data are at hand."""

import importlib.util
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table

SCRIPT = Path(__file__).parents[3] / "training" / "sources" / "catalogues.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("catalogues", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables(script, reference_data):
    return script.catalogues(reference_data)


def test_each_says_where_it_is_from(tables):
    for table in tables.values():
        assert table.meta["origin"] and table.meta["citation"] and table.meta["terms"]
        assert len(table) >= 100


def test_values_are_possible(tables):
    limits = dict(magnitude=(15, 33), half_light_radius=(0.01, 12), redshift=(0.01, 10),
                  sersic_n=(0.1, 8), axis_ratio=(0.01, 1), gini=(0, 1), m20=(-3, 1),
                  bulge_fraction=(0, 1))
    for table in tables.values():
        for name in set(table.colnames) & set(limits):
            known = table[name][np.isfinite(table[name])]
            low, high = limits[name]
            assert len(known) and low <= known.min() and known.max() <= high


def test_sizes_of_the_catalogues_agree(tables):
    """Of galaxies of GOODS, computed from the near infrared, and of fits to COSMOS galaxies."""
    def median(name, low, high):
        table = tables[name]
        return np.median(table["half_light_radius"][
            (table["magnitude"] > low) & (table["magnitude"] < high)])

    for low, high in [(21, 22), (22, 22.5)]:
        assert median("goods_3dhst", low, high) == pytest.approx(
            median("cosmos_fits_300", low, high), rel=0.1)


def test_galaxies_that_judge_models_are_left_out(script, tables, reference_data):
    judges = script._judges(reference_data)
    shapes = Table.read(reference_data / "cosmos_catalogs" / "real_galaxy_23.5_shapes.fits")
    assert len(tables["cosmos_shapes"]) == len(shapes) - np.isin(shapes["IDENT"], judges).sum()
    assert len(judges) >= 60


def test_sizes_before_the_psf(script, reference_data):
    """Nothing changes for large galaxies but circles become ellipses; the PSF itself is small."""
    psf = reference_data / script.WFC3_PSF
    behind = np.array([0.1, 0.14, 0.2, 0.3, 1.0])
    before = script._before_psf(behind, psf)
    assert np.all(np.diff(before[1:]) > 0) and np.all(before < behind)
    assert before[:2] == pytest.approx(script.SMALLEST)
    assert 0.85 < before[-1] < 1.0


def test_the_file(script, tmp_path):
    table = Table(dict(magnitude=np.array([20.0, 21.0], np.float32)), meta=dict(origin="here"))
    script.write_catalogues(tmp_path / "a.h5", dict(a=table))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["catalogues/a"]["magnitude"].tolist() == [20.0, 21.0]
        assert file["catalogues/a"].attrs["origin"] == "here"
