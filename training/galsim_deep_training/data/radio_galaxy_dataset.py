"""The file of the Radio Galaxy Dataset (Griese et al. 2023, Data in Brief 47, 108974)."""

__all__ = ["read_radio_galaxy_dataset"]

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np


def read_radio_galaxy_dataset(path: Path) -> dict[str, np.ndarray]:
    """Read ``galaxy_data_h5.zip``, as its authors publish it.

    The zip holds one HDF5 file with a group ``data_0``, ``data_1`` ... for each image.

    Parameters:
        path:       The zip.

    Returns:
        ``images`` uint8 [n, s, s], ``label`` int [n] (0 FRI, 1 FRII, 2 compact, 3 bent), ``split``
        [n] the name of the split, ``ra`` and ``dec`` [n] in degrees, in the order of the numbers of
        the groups.

    Raises an `OSError`, `ValueError` or `zipfile.BadZipFile` if it cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".h5")]
        if len(names) != 1:
            raise ValueError(f"the zip has {len(names)} files that end in .h5 instead of one")
        # HDF5 moves back and forth in the file, which is slow inside of a zip.
        content = io.BytesIO(archive.read(names[0]))
    with h5py.File(content, "r") as file:
        try:
            entries = [file[f"data_{number}"] for number in range(len(file))]
            images = [entry["Img"] for entry in entries]
            return dict(
                images=np.stack([image[()] for image in images]),
                label=np.array([int(entry["Label_literature"][()]) for entry in entries]),
                split=np.array([entry["Split_literature"].asstr()[()] for entry in entries]),
                ra=np.array([image.attrs["RA"] for image in images]),
                dec=np.array([image.attrs["DEC"] for image in images]))
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(
                f"{names[0]} in it is not laid out like the Radio Galaxy Dataset: {err}") from err
