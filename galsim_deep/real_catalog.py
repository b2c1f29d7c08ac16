"""Folders of real galaxies in GalSim's format: where the catalogue is, and its columns.

`galsim.RealGalaxyCatalog` reads stamps, PSFs and noise.  What a model is conditioned on is often in
a second table beside it, the catalogue of fits (``..._fits.fits``), joined on IDENT.
"""

__all__ = ["RealCatalog"]

from pathlib import Path

import galsim
import numpy as np
from galsim import GalSimConfigError, GalSimError

# Names under which catalogues in use hold the quantities that models are commonly conditioned on.
ALIASES = {"mag_auto": ("mag", "mag_i")}


NEEDED = ("IDENT", "GAL_FILENAME", "PSF_FILENAME", "GAL_HDU", "PSF_HDU", "PIXEL_SCALE",
          "NOISE_VARIANCE")
"""Columns without which a main catalogue is of no use."""


class RealCatalog:
    """A catalogue of real galaxies, and the catalogue of fits beside it.

    Parameters:
        path:       The main catalogue file, or a folder that holds exactly one.

    Attributes:
        path:       The main catalogue file.
        galaxies:   The `galsim.RealGalaxyCatalog`.

    Raises a `galsim.GalSimError` where there is no such catalogue, or more than one.
    """

    def __init__(self, path):
        from astropy.table import Table

        self.path = _find(Path(path))
        try:
            self._tables = [Table.read(self.path, format="fits")]
            if _fits(self.path).is_file():
                self._tables.append(Table.read(_fits(self.path), format="fits"))
            # It reads lazily: what is missing would be noticed at the first galaxy only.
            missing = [name for name in NEEDED if name not in self._tables[0].colnames]
            missing += ["IDENT" for table in self._tables[1:] if "IDENT" not in table.colnames]
            if missing:
                raise KeyError(f"there is no column {', '.join(missing)}")
            self.galaxies = galsim.RealGalaxyCatalog(self.path.name, dir=str(self.path.parent))
        except (OSError, KeyError, ValueError) as err:
            reason = err.args[0] if isinstance(err, KeyError) else err
            raise GalSimError(f"{self.path} cannot be read as a galsim.RealGalaxyCatalog with the "
                              f"catalogue of fits beside it: {reason}") from err

    def __len__(self):
        return self.galaxies.nobjects

    def column(self, name):
        """A column of numbers, wherever it is found.

        Parameters:
            name:   Its name.  Case does not matter; a few names in common use stand for each other
                    (``mag_auto`` is found as ``MAG``).

        Returns:
            float64, shape [N]; NaN where the catalogue of fits lacks a galaxy.

        Raises a `galsim.GalSimConfigError` where no table has it.
        """
        wanted = [name.lower(), *ALIASES.get(name.lower(), ())]
        for candidate in wanted:
            for table in self._tables:
                here = {key.lower(): key for key in _numbers(table)}
                if candidate in here:
                    return self._joined(table, here[candidate])
        columns = ", ".join(key for table in self._tables for key in _numbers(table))
        raise GalSimConfigError(
            f"The catalogue {self.path} has no column of numbers '{name}', nor has its catalogue "
            f"of fits {_fits(self.path).name}. There are: {columns}. Say which to take instead.")

    def _joined(self, table, key):
        identity = np.asarray(self._tables[0]["IDENT"])
        row = {ident: i for i, ident in enumerate(np.asarray(table["IDENT"]))}
        known = np.array([ident in row for ident in identity])
        values = np.full(len(identity), np.nan)
        column = np.ma.filled(np.ma.asarray(table[key]).astype(float), np.nan)
        values[known] = column[[row[ident] for ident in identity[known]]]
        return values


def _find(path):
    if path.is_file():
        return path
    if not path.is_dir():
        raise GalSimError(f"There is no folder or catalogue {path}.")
    found = sorted(file for file in path.glob("*.fits") if _fits(file).is_file())
    found = found or sorted(path.glob("real_galaxy_catalog*.fits"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise GalSimError(f"{path} should hold one catalogue real_galaxy_catalog*.fits; found: "
                          f"{names}. Give the path of the catalogue file itself.")
    return found[0]


def _numbers(table):
    """The names of the columns that hold one number a row."""
    return [key for key in table.colnames
            if table[key].ndim == 1 and table[key].dtype.kind in "iufb"]


def _fits(path):
    """The catalogue of fits that belongs to a main catalogue."""
    return path.with_name(f"{path.stem}_fits.fits")
