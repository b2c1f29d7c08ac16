"""What the tests of data sets share: a file like that of the Radio Galaxy Dataset."""

import io
import zipfile

import h5py
import pytest


@pytest.fixture(scope="session")
def write_radio_galaxy_dataset():
    """``write_radio_galaxy_dataset(path, content)``: a zip with images, labels, splits, positions.

    ``edit`` changes the HDF5 file before it is written under ``names`` in the zip.
    """

    def write(path, content, edit=None, names=("galaxy_data_h5.h5",)):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            for number, image in enumerate(content["images"]):
                entry = file.create_group(f"data_{number}")
                entry["Img"] = image
                entry["Img"].attrs.update(RA=content["ra"][number], DEC=content["dec"][number])
                entry["Label_literature"] = float(content["label"][number])
                entry["Split_literature"] = str(content["split"][number])
            if edit is not None:
                edit(file)
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, buffer.getvalue())
        return path

    return write
