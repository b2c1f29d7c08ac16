"""The file of the Radio Galaxy Dataset is read as its authors publish it."""

import zipfile

import numpy as np
import pytest

from galsim_deep.modules.errors import HandleError
from galsim_deep_training.data.external import external
from galsim_deep_training.data.radio_galaxy_dataset import read_radio_galaxy_dataset

COUNT = 12  # so that the names in the order of the alphabet are not in that of the numbers


@pytest.fixture(scope="module")
def content():
    rng = np.random.default_rng(2)
    return dict(images=rng.integers(0, 256, (COUNT, 20, 20), np.uint8),
                label=np.arange(COUNT) % 4, split=np.array(["train", "valid", "test"] * 4),
                ra=rng.uniform(0, 360, COUNT), dec=rng.uniform(-10, 60, COUNT))


@pytest.fixture
def write(content, write_radio_galaxy_dataset, tmp_path):
    """``write(edit)``: the path of a zip in which ``edit`` has changed the HDF5 file."""

    def make(edit=None, **options):
        return write_radio_galaxy_dataset(tmp_path / "galaxy_data_h5.zip", content, edit, **options)

    return make


def test_what_is_read(content, write):
    found = read_radio_galaxy_dataset(write())
    assert found.keys() == content.keys()
    for name, values in content.items():
        np.testing.assert_array_equal(found[name], values)
    assert found["images"].dtype == np.uint8 and found["label"].dtype == int


def test_other_layouts(write):
    def without_label(file):
        del file["data_3/Label_literature"]

    def without_position(file):
        del file["data_3/Img"].attrs["RA"]

    def misnumbered(file):
        file.move("data_3", "data_99")

    def with_numbers_of_splits(file):
        del file["data_3/Split_literature"]
        file["data_3/Split_literature"] = 1

    for edit in (without_label, without_position, misnumbered, with_numbers_of_splits):
        with pytest.raises(ValueError, match="galaxy_data_h5.h5.*Radio Galaxy Dataset"):
            read_radio_galaxy_dataset(write(edit))


@pytest.mark.parametrize("names", [(), ("a.h5", "b.h5"), ("readme.txt",)])
def test_zips_without_one_file(names, write):
    with pytest.raises(ValueError, match="instead of one"):
        read_radio_galaxy_dataset(write(names=names))


def test_what_is_no_zip(tmp_path):
    (tmp_path / "galaxy_data_h5.zip").write_text("zip")
    with pytest.raises(zipfile.BadZipFile):
        read_radio_galaxy_dataset(tmp_path / "galaxy_data_h5.zip")


@pytest.mark.long
def test_the_real_file(reference_data):
    """Every image, label, split and position is that of the reference data."""
    try:
        path = external("radio_galaxy_dataset").find()
    except HandleError as err:
        pytest.skip(str(err))
    found = read_radio_galaxy_dataset(path)
    with np.load(reference_data / "radio" / "rgd_first_2158_uint8_300px.npz") as expected:
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name])
