"""Reading catalogues of real galaxies from tables of several kinds."""

__all__ = ["QUANTITIES", "magnitudes", "read_rows"]

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from astropy.table import Table
from galsim import GalSimConfigError, GalSimError

from galsim_deep.observations.real_catalog import RealCatalog

from .settings import Catalogue, Counts

QUANTITIES = ("magnitude", "half_light_radius", "redshift", "sersic_n", "axis_ratio")
"""What is known of a galaxy, in the order of the columns of `read_rows`."""


def read_rows(catalogue: Catalogue, locate: Callable[[str], str | os.PathLike], where: str
              ) -> np.ndarray:
    """The galaxies of a catalogue.

    Parameters:
        catalogue:  The file and the names of its columns.
        locate:     A function that makes a path of the recipe absolute.
        where:      The name of the recipe, for errors.

    Returns:
        float64 [n, 5], the `QUANTITIES`; NaN if a value is not known or marks a failure.

    Raises:
        galsim.GalSimConfigError: if the catalogue cannot be read or lacks a column that is named.
    """
    source = _name(catalogue, locate)
    table = _table(locate(catalogue.file_name), catalogue.path, where)
    rows = np.full((len(table), len(QUANTITIES)), np.nan)
    for index, quantity in enumerate(QUANTITIES):
        name = getattr(catalogue, quantity)
        if name is not None or _has(table, quantity):
            rows[:, index] = _column(table, name or quantity, source, where)
    if catalogue.ellipticity is not None:
        g = np.abs(_column(table, catalogue.ellipticity, source, where))
        rows[:, 4] = (1 - g) / (1 + g)
    # Catalogues often mark failures with negative numbers.
    for index in (0, 1, 3, 4):
        rows[~(rows[:, index] > 0), index] = np.nan
    rows[~(rows[:, 2] >= 0), 2] = np.nan
    if catalogue.magnitudes is not None:
        low, high = catalogue.magnitudes
        rows = rows[(rows[:, 0] >= low) & (rows[:, 0] <= high)]
    return rows[np.isfinite(rows[:, 0])]


def magnitudes(counts: Counts, locate: Callable[[str], str | os.PathLike], where: str
               ) -> np.ndarray:
    """The magnitudes of the catalogue of number counts, float64 [n]; the parameters are those of
    `read_rows`."""
    assert counts.file_name is not None
    table = _table(locate(counts.file_name), counts.path, where)
    values = _column(table, counts.magnitude, _name(counts, locate), where)
    return values[np.isfinite(values)]


def _name(setting: Catalogue | Counts, locate: Callable[[str], str | os.PathLike]) -> str:
    assert setting.file_name is not None
    path = str(locate(setting.file_name))
    return path if setting.path is None else f"{path}, {setting.path},"


def _table(path: str | os.PathLike, part: str | None, where: str) -> "Table | RealCatalog":
    path = Path(path)
    try:
        if part is not None:
            with h5py.File(path, "r") as file:
                if part not in file:
                    raise GalSimConfigError(
                        f"The {where}: the file {path} has no table '{part}'; it has: "
                        f"{', '.join(_tables(file)) or 'none'}.")
                return Table(file[part][()])
        if path.suffix == ".fits" and path.with_name(f"{path.stem}_fits.fits").is_file():
            return RealCatalog(path)
        return Table.read(path, format="ascii.csv" if path.suffix == ".csv" else None)
    except GalSimConfigError:
        raise
    except (OSError, ValueError, GalSimError) as err:
        raise GalSimConfigError(f"The {where}: the catalogue {path} cannot be read: {err}") from err


def _tables(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(
        item, h5py.Dataset) and item.dtype.names else None)
    return names


def _has(table: "Table | RealCatalog", name: str) -> bool:
    return not isinstance(table, RealCatalog) and name in table.colnames


def _column(table: "Table | RealCatalog", name: str, source: str, where: str) -> np.ndarray:
    """A column as float64, with NaN for masked values."""
    try:
        column = table.column(name) if isinstance(table, RealCatalog) else table[name]
        return np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    except (KeyError, GalSimConfigError) as err:
        raise GalSimConfigError(
            f"The {where}: the catalogue {source} has no column '{name}'. {err}") from err
    except ValueError as err:
        raise GalSimConfigError(
            f"The {where}: the column '{name}' of {source} does not hold numbers: {err}") from err
