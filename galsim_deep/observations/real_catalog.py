"""The reader of folders of real galaxies in GalSim's format.

`galsim.RealGalaxyCatalog` gives stamps, PSFs and noise.  The columns that a model is conditioned on
are often in a second table beside it, the catalogue of parametric fits (``..._fits.fits``), joined
on IDENT.  `RealCatalog` reads both.  Validation and the data builders of training use it, so that a
catalogue means the same to both.
"""

__all__ = ["RealCatalog"]

import os
from pathlib import Path
from typing import Any

import galsim
import numpy as np
from galsim import GalSimConfigError, GalSimError

from .noise import CORRELATION_SIZE
from .psf import half_light_radius, psf_image, radius_before_psf

# The names in this file are those of the format of `galsim.RealGalaxyCatalog`, as its documentation
# lists them.  They say nothing about the columns of modules.
QUANTITY_NAMES = {"magnitude": "MAG"}
"""The columns of a main catalogue that measure a quantity.  They are tried for a column of that
quantity if the catalogue has none of the column's own name."""

OBSERVED_RADIUS = "flux_radius"
"""The column of half-light radii, PSF included, in pixels of the catalogue."""
PSFS, PSF_SIZE = 25, 65

REQUIRED_COLUMNS = ("IDENT", "GAL_FILENAME", "PSF_FILENAME", "GAL_HDU", "PSF_HDU", "PIXEL_SCALE",
                    "NOISE_VARIANCE")
"""Columns that a main catalogue must have."""


class RealCatalog:
    """A catalogue of real galaxies, together with the catalogue of parametric fits beside it.

    Parameters:
        path:       The main catalogue file, or a folder that holds exactly one.

    Attributes:
        path:           The main catalogue file.
        galaxies:       The `galsim.RealGalaxyCatalog`.
        pixel_scales:   Size of a pixel of each stamp [arcsec], float64 [N]; to six digits, since
                        catalogues often hold it in single precision.
        noise_sigma:    Standard deviation of the noise in a pixel of each stamp, float64 [N]; NaN
                        if the catalogue has no positive variance.

    Raises:
        galsim.GalSimError: if there is no such catalogue, more than one, or one that cannot be
                            read.

    Example, where ``catalogue_folder`` is such a folder with one galaxy:

        >>> catalog = RealCatalog(catalogue_folder)
        >>> catalog.column("mag_auto", quantity="magnitude")
        array([21.5])
        >>> catalog.stamp(0).shape, catalog.psf_image(0, 65).shape
        ((31, 31), (65, 65))
    """

    def __init__(self, path: str | os.PathLike) -> None:
        from astropy.table import Table

        self.path = _find(Path(path))
        self._correlations: dict[tuple, np.ndarray] = {}
        try:
            self._tables = [Table.read(self.path, format="fits")]
            if _fit_catalogue_path(self.path).is_file():
                self._tables.append(Table.read(_fit_catalogue_path(self.path), format="fits"))
            # GalSim reads lazily: it would notice what is missing only at the first galaxy.
            missing = [name for name in REQUIRED_COLUMNS if name not in self._tables[0].colnames]
            missing += ["IDENT" for table in self._tables[1:] if "IDENT" not in table.colnames]
            if missing:
                raise KeyError(f"there is no column {', '.join(missing)}")
            self.galaxies = galsim.RealGalaxyCatalog(self.path.name, dir=str(self.path.parent))
        except (OSError, KeyError, ValueError) as err:
            reason = err.args[0] if isinstance(err, KeyError) else err
            raise GalSimError(f"{self.path} cannot be read as a galsim.RealGalaxyCatalog with the "
                              f"catalogue of parametric fits beside it: {reason}") from err
        self.pixel_scales = np.array([float(f"{scale:.6g}") for scale in np.asarray(
            self.galaxies.pixel_scale, float)])
        variance = np.asarray(self.galaxies.variance, float)
        positive = np.isfinite(variance) & (variance > 0)
        self.noise_sigma = np.sqrt(np.where(positive, variance, np.nan))

    def __len__(self) -> int:
        return self.galaxies.nobjects

    def column(self, name: str, pixel_scale: float | None = None, quantity: str = "other"
               ) -> np.ndarray:
        """A column of numbers, from the main catalogue or from that of parametric fits.

        Parameters:
            name:           Its name.  Case does not matter.
            pixel_scale:    For a column that the catalogue gives in its own pixels: the size
                            [arcsec] of the pixels to convert it to.  [default: no conversion]
            quantity:       What the column measures (see `galsim_deep.modules.card.Quantity`).  A
                            quantity of `QUANTITY_NAMES` is read from the column named there if the
                            catalogue has none of this name.  [default: "other", only the name
                            counts]

        Returns:
            float64, shape [N]; NaN if the catalogue of parametric fits lacks a galaxy.

        Raises:
            galsim.GalSimConfigError: if neither table has the column.
        """
        for candidate in (name, QUANTITY_NAMES.get(quantity, name)):
            for table in self._tables:
                keys = {key.lower(): key for key in _numeric_columns(table)}
                if candidate.lower() in keys:
                    values = self._joined(table, keys[candidate.lower()])
                    return values if pixel_scale is None else (
                        values * (self.pixel_scales / pixel_scale))
        columns = ", ".join(key for table in self._tables for key in _numeric_columns(table))
        raise GalSimConfigError(
            f"The catalogue {self.path} has no column of numbers '{name}', nor has its catalogue "
            f"of parametric fits {_fit_catalogue_path(self.path).name}. Together they have the "
            f"columns {columns}. "
            "Name one of them with --column COLUMN=NAME, in Python with the argument columns of "
            "RealSample, or in data.columns of a recipe.")

    def radii_before_psf(self) -> np.ndarray | None:
        """Half-light radii of circles before the PSF, from the observed ones [arcsec], [N].

        None if the catalogue has no `OBSERVED_RADIUS`.  The PSF is the median of up to `PSFS` ones.
        """
        try:
            observed = self.column(OBSERVED_RADIUS) * self.pixel_scales
        except GalSimConfigError:
            return None
        rows = np.linspace(0, len(self) - 1, min(PSFS, len(self))).astype(int)
        images = [(self.psf_image(row, PSF_SIZE), self.pixel_scales[row]) for row in rows]
        radii = [half_light_radius(image, scale) for image, scale in images
                 if np.isfinite(image).all()]
        return radius_before_psf(observed, float(np.median(radii)) if radii else 0.0)

    def stamp(self, row: int) -> np.ndarray:
        """The observed stamp of a galaxy, shape [h, w], flux per pixel."""
        return self.galaxies.getGalImage(int(row)).array

    def psf_image(self, row: int, size: int, pixel_scale: float | None = None) -> np.ndarray:
        """The effective PSF (pixel response included) of a galaxy, sampled on pixels.

        Parameters:
            row:            Row of the main catalogue.
            size:           Pixels on a side of the image P, odd.
            pixel_scale:    Size of a pixel [arcsec].  [default: that of the galaxy's stamp]

        Returns:
            float64, shape [P, P], centred on the middle pixel, unit sum.

        Raises:
            galsim.GalSimError: if the PSF cannot be read or is not an image of a star.
        """
        psf = self.galaxies.getPSF(int(row))
        return psf_image(psf, size, pixel_scale or self.pixel_scales[row])

    def noise_correlation(self, row: int, size: int = CORRELATION_SIZE) -> np.ndarray | None:
        """The correlation function of the noise in a galaxy's stamp, in pixels of that stamp.

        It is read once for each noise file.

        Parameters:
            row:    Row of the main catalogue.
            size:   Pixels on a side C, odd.

        Returns:
            float64, shape [C, C], 1 in the middle; None if the catalogue names no noise file, or
            has no variance for this galaxy.
        """
        name = self.noise_file(row)
        # GalSim scales the correlation by the variance: without one, this row cannot be used.
        if name is None or not np.isfinite(self.noise_sigma[row]):
            return None
        scale = float(self.galaxies.pixel_scale[row])
        key = name, scale, size
        if key not in self._correlations:
            image = galsim.Image(size, size, scale=scale, dtype=float)
            self.galaxies.getNoise(int(row), rng=galsim.BaseDeviate(1)).drawImage(image)
            self._correlations[key] = image.array / image.array[size // 2, size // 2]
        return self._correlations[key]

    def noise_file(self, row: int) -> str | None:
        """The name of the file with the correlation of a galaxy's noise; None if there is none."""
        names = self.galaxies.noise_file_name
        return None if names is None else str(names[row])

    def _joined(self, table: Any, key: str) -> np.ndarray:
        """A column of one of the tables, in the order of the main catalogue, float64 [N]."""
        identity = np.asarray(self._tables[0]["IDENT"])
        row = {ident: i for i, ident in enumerate(np.asarray(table["IDENT"]))}
        has_fit = np.array([ident in row for ident in identity])
        values = np.full(len(identity), np.nan)
        column = np.ma.filled(np.ma.asarray(table[key]).astype(float), np.nan)
        values[has_fit] = column[[row[ident] for ident in identity[has_fit]]]
        return values


def _find(path: Path) -> Path:
    """The main catalogue file."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise GalSimError(f"There is no folder or catalogue {path}.")
    candidates = sorted(file for file in path.glob("*.fits") if _fit_catalogue_path(file).is_file())
    candidates = candidates or sorted(path.glob("real_galaxy_catalog*.fits"))
    if len(candidates) != 1:
        names = ", ".join(file.name for file in candidates) or "none"
        raise GalSimError(f"{path} should hold one catalogue real_galaxy_catalog*.fits; found: "
                          f"{names}. Give the path of the catalogue file itself.")
    return candidates[0]


def _numeric_columns(table: Any) -> list[str]:
    """The names of the columns that hold one number a row."""
    return [key for key in table.colnames
            if table[key].ndim == 1 and table[key].dtype.kind in "iufb"]


def _fit_catalogue_path(path: Path) -> Path:
    """The catalogue of parametric fits that belongs to a main catalogue."""
    return path.with_name(f"{path.stem}_fits.fits")
