"""Opening the HDF5 files of the project: data sets and collections."""

__all__ = ["open_hdf5"]

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from galsim import GalSimError

if TYPE_CHECKING:
    import h5py


def open_hdf5(path: Path, absent: str, check: Callable[[Path, "h5py.File"], None]) -> "h5py.File":
    """Open an HDF5 file for reading, and check its content.

    Parameters:
        path:       The file.
        absent:     The message if there is none.
        check:      Called with the path and the open file; raises a `galsim.GalSimError` if the
                    content is not as it should be.

    Raises:
        ImportError:        h5py is not installed.
        galsim.GalSimError: There is no such file, it is no HDF5 file, or ``check`` says no.  It is
                            not left open.

    Example:

        >>> from pathlib import Path
        >>> open_hdf5(Path("no.h5"), "There is no data set no.h5.", lambda path, file: None)
        Traceback (most recent call last):
        galsim.errors.GalSimError: There is no data set no.h5.
    """
    import h5py

    if not path.is_file():
        raise GalSimError(absent)
    try:
        file = h5py.File(path, "r")
    except OSError as err:
        raise GalSimError(f"{path} is not an HDF5 file: {err}") from err
    try:
        check(path, file)
    except GalSimError:
        file.close()
        raise
    return file
