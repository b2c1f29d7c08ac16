"""Opening HDF5 files: what is not as it should be is refused, and not left open."""

import galsim
import h5py
import pytest

from galsim_deep.observations.hdf5 import open_hdf5


def accept(path, file):
    pass


def test_a_good_file_is_open(tmp_path):
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file["value"] = 3
    with open_hdf5(tmp_path / "good.h5", "absent", accept) as file:
        assert file["value"][()] == 3 and file.mode == "r"


def test_no_file(tmp_path):
    with pytest.raises(galsim.GalSimError, match="^nothing here$"):
        open_hdf5(tmp_path / "no.h5", "nothing here", accept)


def test_another_kind_of_file(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(galsim.GalSimError, match=r"text\.h5 is not an HDF5 file"):
        open_hdf5(tmp_path / "text.h5", "absent", accept)


def test_a_refused_file_is_closed(tmp_path):
    with h5py.File(tmp_path / "bad.h5", "w"):
        pass
    opened = []

    def refuse(path, file):
        opened.append(file)
        raise galsim.GalSimError(f"{path.name} is bad")

    with pytest.raises(galsim.GalSimError, match="bad.h5 is bad"):
        open_hdf5(tmp_path / "bad.h5", "absent", refuse)
    assert not opened[0]  # closed
