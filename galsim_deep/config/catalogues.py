"""Input catalogues of a GalSim config file, read by whole columns.

GalSim asks an input catalogue for one value at a time.  With a FITS table that takes astropy 30 us
a value.  With ``nproc`` the catalogue is in a process of its own, and each value takes three
requests to that process, which is as long as it takes to make a galaxy.
"""

__all__ = ["FastCatalogue", "FastCatalogues"]

import contextlib
from collections.abc import Iterator
from typing import Any

import galsim
from galsim.utilities import lazy_property

from ._galsim_internals import (
    catalogue_data,
    input_catalogues,
    is_elsewhere,
    replaced_catalogues,
)

MAX_VALUES = 8_000_000
"""The largest number of values that a worker copies from another process: 64 MB of numbers.

A larger catalogue is not copied; each value is requested from the other process.
"""


class FastCatalogue:
    """A faster replacement for a `galsim.Catalog`, with the same methods.

    Nothing is read before the first value is requested.  The errors are those of `galsim.Catalog`.

    Parameters:
        catalogue:  The `galsim.Catalog`, or GalSim's proxy of one in another process.

    Example:

        >>> import tempfile
        >>> from astropy.table import Table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Table(dict(mag_auto=[22.5, 24.0])).write(f"{folder}/galaxies.fits")
        ...     catalogue = FastCatalogue(galsim.Catalog("galaxies.fits", dir=folder))
        ...     catalogue.getNObjects(), catalogue.getFloat(1, "mag_auto")
        (2, 24.0)
    """

    def __init__(self, catalogue: galsim.Catalog) -> None:
        self._catalogue = catalogue

    @lazy_property
    def _count(self) -> int:
        return self._catalogue.getNObjects()

    @lazy_property
    def _is_fits(self) -> bool:
        return self._catalogue.isFits()

    @lazy_property
    def _columns(self) -> dict[str, Any]:
        """The columns by name; empty if the catalogue itself has to be asked."""
        names = self._catalogue.names if self._is_fits else ()
        if not names or (is_elsewhere(self._catalogue)
                         and self._count * len(names) > MAX_VALUES):
            return {}
        data = catalogue_data(self._catalogue)
        return {name: data[name] for name in names}

    def get(self, index: int, col: str | int) -> Any:
        """The value in a row and column; see `galsim.Catalog.get`."""
        if col in self._columns and isinstance(index, int) and 0 <= index < self._count:
            return self._columns[col][index]
        return self._catalogue.get(index, col)  # raises the error, if there is one

    def getFloat(self, index: int, col: str | int) -> float:
        """The same as a float."""
        return float(self.get(index, col))

    def getInt(self, index: int, col: str | int) -> int:
        """The same as an int."""
        return int(self.get(index, col))

    def getNObjects(self) -> int:
        """The number of rows."""
        return self._count

    def isFits(self) -> bool:
        """Whether the catalogue was read from a FITS table."""
        return self._is_fits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalogue, name)


class FastCatalogues:
    """Puts a `FastCatalogue` in place of each input catalogue while a configuration is read.

    It keeps the `FastCatalogue` objects of the last configuration, so that the columns of each
    catalogue are read only once.

    Example:

        >>> import tempfile
        >>> from astropy.table import Table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Table(dict(mag_auto=[22.5, 24.0])).write(f"{folder}/galaxies.fits")
        ...     catalog = dict(file_name="galaxies.fits", dir=folder)
        ...     config = dict(input=dict(catalog=catalog), index_key="obj_num", obj_num=1,
        ...                   mag_auto=dict(type="Catalog", col="mag_auto"))
        ...     galsim.config.ProcessInput(config)
        ...     with FastCatalogues().in_place(config):
        ...         galsim.config.ParseValue(config, "mag_auto", config, float)[0]
        24.0
    """

    def __init__(self) -> None:
        self._known: list[tuple[Any, Any]] = []  # each catalogue and its FastCatalogue

    @contextlib.contextmanager
    def in_place(self, base: dict[str, Any]) -> Iterator[None]:
        """Change the input catalogues of a configuration, and change them back at the end.

        Parameters:
            base:       The whole configuration.  It is changed itself: a copy would lose what
                        GalSim keeps there while it reads.
        """
        catalogues = input_catalogues(base)
        if not any(catalogues):
            yield
            return
        fast = [self._fast(catalogue) for catalogue in catalogues]
        self._known = [*zip(catalogues, fast, strict=True)]
        with replaced_catalogues(base, fast):
            yield

    def _fast(self, catalogue: galsim.Catalog | None) -> FastCatalogue | None:
        for earlier, fast in self._known:
            if earlier is catalogue:
                return fast
        return catalogue and FastCatalogue(catalogue)
