"""galsim_deep.observations.collection: reading a collection, and its errors."""

import dataclasses
import shutil
import sys

import galsim
import h5py
import numpy as np
import pytest

from galsim_deep.observations.collection import (
    COLUMNS,
    CollectedGalaxy,
    Collection,
    Conditions,
    Survey,
)
from galsim_deep_training.data.collection_writer import write_collection

SURVEY = Survey(title="Made here", origin="none", citation="none", terms="public domain", notes="")


@pytest.fixture(scope="module")
def file(collected, tmp_path_factory):
    path = tmp_path_factory.mktemp("collection") / "galaxies.h5"
    usable = np.ones((24, 24), bool)
    usable[2, 3:6] = False
    galaxies = [collected("a-0", usable=usable), collected("a-1", group=3, redshift=np.nan),
                collected("b-0", group=4, noise_correlation=None, notes="naïve", psf_scale=0.02)]
    conditions = Conditions(
        psf=np.stack([galaxies[0].psf] * 2), noise_variance=np.array([4e-6, 5e-6]),
        noise_correlation=galaxies[0].noise_correlation, zero_point=25.94, pixel_scale=0.03)
    write_collection(path, galaxies, {"made": SURVEY}, {"acs": conditions})
    return path


def test_the_columns_are_the_attributes_of_a_galaxy():
    attributes = {field.name for field in dataclasses.fields(CollectedGalaxy)}
    assert attributes - set(COLUMNS) == {"image", "usable", "psf_scale"}
    assert set(COLUMNS) <= attributes
    assert not COLUMNS["ra"].known and COLUMNS["x"].known
    assert COLUMNS["group"].kind is int and COLUMNS["psf"].kind is str


def test_a_galaxy_by_name_and_by_row(file):
    collection = Collection(file)
    assert len(collection) == 3
    one, same = collection.galaxy("a-0"), collection.galaxy(0)
    assert one.name == same.name == "a-0"
    np.testing.assert_array_equal(one.image, same.image)
    assert one.image.dtype == one.psf.dtype == np.float64
    assert one.usable.sum() == 24 * 24 - 3 and not one.usable[2, 4]
    assert type(one.group) is int and type(one.held_out) is bool and type(one.x) is float
    assert collection.galaxy(np.int64(1)).usable.all()


def test_what_is_not_known(file):
    collection = Collection(file)
    assert np.isnan(collection.galaxy("a-1").redshift)
    assert collection.galaxy("b-0").noise_correlation is None
    assert collection.galaxy("b-0").psf_scale == 0.02
    assert collection.galaxy("b-0").notes == "naïve"


def test_the_table(file):
    table = Collection(file).table
    assert table.colnames == list(COLUMNS)
    assert list(table["name"][table["group"] > 2]) == ["a-1", "b-0"]
    assert table.meta["magnitude"] == COLUMNS["magnitude"].meaning


def test_surveys_and_conditions(file):
    collection = Collection(file)
    assert collection.surveys == {"made": SURVEY}
    conditions = collection.conditions("acs")
    assert conditions.psf.shape == (2, 9, 9) and conditions.zero_point == 25.94
    np.testing.assert_allclose(conditions.noise_variance, [4e-6, 5e-6], rtol=1e-6)


@pytest.mark.parametrize("ask, message", [
    (lambda c: c.galaxy("x-7"), "no galaxy 'x-7'.*such as a-0, a-1, b-0"),
    (lambda c: c.galaxy(3), "no row 3: its 3 rows"),
    (lambda c: c.galaxy(-1), "no row -1"),
    (lambda c: c.conditions("wfc3"), "no conditions 'wfc3'; it has: acs"),
    (lambda c: c.catalogue("faint"), "no catalogues 'faint'; it has: none"),
])
def test_names_that_are_absent(file, ask, message):
    with pytest.raises(galsim.GalSimError, match=message):
        ask(Collection(file))


def test_a_file_that_is_absent(tmp_path):
    with pytest.raises(galsim.GalSimError, match="no collection of galaxies .*nothing.h5"):
        Collection(tmp_path / "nothing.h5")


def test_a_file_that_is_no_collection(tmp_path, file):
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    with pytest.raises(galsim.GalSimError, match="not an HDF5 file"):
        Collection(text)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as content:
        content["stamp"] = 1
    with pytest.raises(galsim.GalSimError, match="lacks table, images"):
        Collection(other)
    for change, message in [(lambda content: content.attrs.__setitem__("format_version", 9),
                             "format version 9.*reads version 1"),
                            (lambda content: content.__delitem__("psfs"), "lacks psfs"),
                            (_without_a_column, "lacks the columns sersic_n")]:
        shutil.copy(file, other)
        with h5py.File(other, "r+") as content:
            change(content)
        with pytest.raises(galsim.GalSimError, match=message):
            Collection(other)


def _without_a_column(content):
    rows = content["table"][:]
    del content["table"]
    content["table"] = rows[[name for name in rows.dtype.names if name != "sersic_n"]].copy()


def test_without_h5py_the_extra_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(galsim.GalSimError, match="h5py.*extra 'validate' or 'train'"):
        Collection(file)
