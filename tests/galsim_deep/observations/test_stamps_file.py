"""The data set file, as it is read: errors say what is wrong with which file."""

import re

import galsim
import h5py
import numpy as np
import pytest

from galsim_deep.observations.stamps_file import FORMAT_VERSION, PARTS, StampsFile


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(format_version=FORMAT_VERSION, pixel_scale=0.05)
        file["stamp"] = np.arange(48, dtype="f4").reshape(3, 4, 4)
        file["psf"] = np.ones((2, 3, 3), "f4") / 9
        file["psf_index"] = [0, 1, 1]
        file["noise_sigma"] = np.array([1, 2, 3], "f4")
        file["noise_correlation"] = np.ones((1, 1, 1), "f4")
        file["noise_index"] = [0, 0, 0]
        file["source"] = [5, 5, 6]
        file["test"] = [0, 0, 1]
        file["columns/size"] = np.array([1, 2, 3], "f4")
        file["pixel_scale"] = np.array([0.05, 0.05, 0.1], "f4")
        file["noiseless_index"] = [2]
        file["noiseless"] = np.full((1, 4, 4), 7, "f4")
    return path


def test_what_is_in_it(path):
    file = StampsFile(path)
    assert len(file) == 3 and file.path == path
    assert (file.pixel_scale, file.stamp_size, file.recipe_sha256) == (0.05, 4, "")
    np.testing.assert_allclose(file.pixel_scales, [0.05, 0.05, 0.1])
    np.testing.assert_array_equal(file.stamp(1), np.arange(16, 32).reshape(4, 4))
    np.testing.assert_array_equal(file.noiseless(0), np.full((4, 4), 7))
    assert file.psfs.shape == (2, 3, 3) and file.noise_correlation.shape == (1, 1, 1)
    assert file.test.dtype == bool and file.test.tolist() == [False, False, True]
    assert file.source.tolist() == [5, 5, 6] and file.psf_index.tolist() == [0, 1, 1]
    assert file.noise_index.tolist() == [0, 0, 0] and file.noise_sigma.tolist() == [1, 2, 3]
    assert file.columns.keys() == {"size"} and file.noiseless_index.tolist() == [2]


def test_labels(path):
    """Files that say nothing of classes know none."""
    labels = StampsFile(path).label
    assert labels.dtype == np.int32 and labels.tolist() == [-1, -1, -1]
    with h5py.File(path, "a") as file:
        file["label"] = np.array([2, -1, 0], "i4")
    assert StampsFile(path).label.tolist() == [2, -1, 0]


def test_no_file(tmp_path):
    with pytest.raises(galsim.GalSimError, match="none.h5.*galsim-deep-train data"):
        StampsFile(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("stamps")
    with pytest.raises(galsim.GalSimError, match="text.h5 .*HDF5"):
        StampsFile(tmp_path / "text.h5")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_missing(part, path):
    with h5py.File(path, "a") as file:
        del file[part]
    with pytest.raises(galsim.GalSimError, match=f"data.h5 .*lacks {part}"):
        StampsFile(path)
    with h5py.File(path, "a"):  # it is not kept open
        pass


@pytest.mark.parametrize("version", [1, FORMAT_VERSION + 1])
def test_another_version(version, path):
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = version
    with pytest.raises(galsim.GalSimError,
                       match=f"data.h5 .* version {version};.*reads version {FORMAT_VERSION}"):
        StampsFile(path)


@pytest.mark.parametrize("attribute, fact", [
    ("format_version", "no format"), ("pixel_scale", "lacks pixel_scale")])
def test_a_file_of_something_else(attribute, fact, path):
    with h5py.File(path, "a") as file:
        del file.attrs[attribute]
    with pytest.raises(galsim.GalSimError, match=f"data.h5 .*{fact}"):
        StampsFile(path)


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 3, 5), (3, 3)])
def test_correlations_without_a_middle(shape, path):
    with h5py.File(path, "a") as file:
        del file["noise_correlation"]
        file["noise_correlation"] = np.ones(shape)
    with pytest.raises(galsim.GalSimError, match=f"data.h5 .*{re.escape(str(shape))}"):
        StampsFile(path)
