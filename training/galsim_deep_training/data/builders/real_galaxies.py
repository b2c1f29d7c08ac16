"""The builder of real galaxies, as they were observed, from a GalSim catalogue folder.

It reads any folder that `galsim.RealGalaxyCatalog` reads.  With ``exclusion_level`` the quality
cuts of `galsim.COSMOSCatalog` (a `galsim.GalaxySample`) are applied, which need the catalogue of
parametric fits beside it.

The pixels of the catalogue may differ from those of the recipe: stamps, PSFs and the correlation of
the noise are then resampled, and columns in pixels are converted.  Galaxies that lack a column, or
have one outside of the ``ranges``, are left out.
"""

__all__ = ["RealGalaxiesBuilder"]

from pathlib import Path

import galsim
import numpy as np
from galsim import GalSimConfigError

from galsim_deep.observations.noise import (
    CORRELATION_SIZE,
    resampled_correlation,
    resized_correlation,
    white_correlation,
)
from galsim_deep.observations.real_catalog import RealCatalog
from galsim_deep.observations.units import is_pixel

from ...recipe import Column, Recipe
from ...settings import Range, Settings, ShareBelowOne, Text
from ..example import Example
from .base import Builder

SAME_SCALE = 1e-4
"""Pixel scales with a relative difference of less than this are taken to be the same: catalogues
hold them in single precision."""


class RealGalaxiesSettings(Settings):
    """Settings of the ``real_galaxies`` builder."""

    catalog: Text
    """The main catalogue file of the folder."""
    columns: dict[str, Text] = {}
    """Names of the recipe's columns in the catalogue, or in the catalogue of fits beside it
    (`galsim_deep.observations.real_catalog`).  [default: the same names]"""
    ranges: dict[str, Range] = {}
    """Ranges of the recipe's columns; galaxies outside of any of them are left out.
    [default: no galaxy is]"""
    exclusion_level: str | None = None
    """Quality cuts of `galsim.COSMOSCatalog` to apply, such as ``marginal``.  [default: no cuts]"""
    test_fraction: ShareBelowOne = 0.1
    """Fraction of the galaxies in the test split."""


class RealGalaxiesBuilder(Builder, kind="real_galaxies"):
    """Observed stamps with their own PSF and noise, padded with noise of the same correlation.

    See `Builder` for the parameters.

    Raises:
        galsim.GalSimError: if the catalogue cannot be read or lacks a column, or the quality cuts
            cannot be applied or leave no galaxy.

    The settings, as a recipe has them::

        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/lanusse2021.yaml")
        >>> choice = Builder.choose(recipe.data, recipe, "data")
        >>> choice.kind, choice.settings.exclusion_level, choice.settings.ranges["mag_auto"]
        ('real_galaxies', 'marginal', (17.0, 25.2))
    """

    Settings = RealGalaxiesSettings
    settings: RealGalaxiesSettings

    def __init__(self, settings: RealGalaxiesSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self._check_names()
        path = self.locate(settings.catalog)
        self._catalog = RealCatalog(path)
        # The row of each galaxy in the catalogue.
        self._rows = np.arange(len(self._catalog))
        if settings.exclusion_level is not None:
            try:
                sample = galsim.COSMOSCatalog(path.name, dir=str(path.parent),
                                              exclusion_level=settings.exclusion_level)
            except (OSError, KeyError, ValueError) as err:
                raise GalSimConfigError(
                    f"The recipe {recipe.path} asks for exclusion_level "
                    f"'{settings.exclusion_level}', but galsim.COSMOSCatalog cannot apply it to "
                    f"{path}: {type(err).__name__}: {err}. Leave exclusion_level out, or use a "
                    "catalogue that comes with its selection and fits files.") from err
            self._rows = np.asarray(sample.orig_index)
        count = len(self._rows)
        if not count:
            raise GalSimConfigError(f"The recipe {recipe.path}: no galaxy of {path} is left by "
                                    f"exclusion_level '{settings.exclusion_level}'.")
        self._scales = self._pixel_scales(path)
        self._columns = {column.name: self._read(column) for column in recipe.columns}
        self._read_noise()
        permutation = np.random.default_rng([recipe.seed, 0]).permutation(count)
        self._test = set(permutation[:round(settings.test_fraction * count)].tolist())

    def _check_names(self) -> None:
        """Refuse settings for columns that the recipe does not have."""
        names = [column.name for column in self.recipe.columns]
        for key in ("columns", "ranges"):
            unknown = [name for name in getattr(self.settings, key) if name not in names]
            if unknown:
                raise GalSimConfigError(
                    f"The recipe {self.recipe.path}, data.{key}, names the column "
                    f"{', '.join(unknown)}; the columns of the recipe are: "
                    f"{', '.join(names) or 'none'}.")

    def _pixel_scales(self, path: Path) -> np.ndarray:
        """Pixel scale of each galaxy [arcsec], float64, one for each row of the catalogue."""
        scales = self._catalog.pixel_scales.copy()
        if not np.all(np.isfinite(scales) & (scales > 0)):
            raise GalSimConfigError(f"The catalogue {path} has a pixel scale that is not positive, "
                                    f"in row {np.flatnonzero(~(scales > 0))[0]}.")
        recipe_scale = self.recipe.stamp.pixel_scale
        scales[np.abs(scales / recipe_scale - 1) < SAME_SCALE] = recipe_scale
        return scales

    def _read(self, column: Column) -> np.ndarray:
        """A column, float64, one value for each row of the catalogue; NaN outside of its range."""
        # Catalogues give sizes in their own pixels.
        pixel_scale = self.recipe.stamp.pixel_scale if is_pixel(column.unit) else None
        try:
            values = self._catalog.column(
                self.settings.columns.get(column.name, column.name), pixel_scale,
                "other" if column.name in self.settings.columns else column.quantity)
        except GalSimConfigError as err:
            raise GalSimConfigError(
                f"The recipe {self.recipe.path}, column '{column.name}': {err}") from None
        low, high = self.settings.ranges.get(column.name, (-np.inf, np.inf))
        with np.errstate(invalid="ignore"):
            return np.where((values >= low) & (values <= high), values, np.nan)

    def _read_noise(self) -> None:
        """Read the distinct correlations of the noise, and which of them each galaxy has."""
        # Noise differs between noise files and between pixel scales.
        rows = self._rows.tolist()
        keys = [(self._catalog.noise_file(row), float(self._scales[row])) for row in rows]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        self._noise_index = np.array([numbers[key] for key in keys])
        # A row from which each correlation can be read: GalSim needs one with a known variance.
        readable: dict[tuple, int] = {}
        for row, key in zip(rows, keys, strict=True):
            if key not in readable and self._has_noise(row):
                readable[key] = row
        correlations = [
            self._correlation(readable[key]) if key in readable else (white_correlation(), 1.0)
            for key in numbers]
        # Variances in pixels of the recipe, relative to those in pixels of the catalogue.
        self._correlations, self._variance_ratios = map(
            np.array, zip(*correlations, strict=True))

    def _correlation(self, row: int) -> tuple[np.ndarray, float]:
        """(correlation [C, C], variance ratio) of a galaxy's noise in pixels of the recipe."""
        ratio = float(self.recipe.stamp.pixel_scale / self._scales[row])
        size = 2 * int(np.ceil(0.5 * CORRELATION_SIZE * max(1.0, ratio))) + 1
        correlation = self._catalog.noise_correlation(row, size)
        if correlation is None:
            correlation = white_correlation(size)
        if ratio == 1:
            return resized_correlation(correlation, CORRELATION_SIZE), 1.0
        correlation, variance = resampled_correlation(correlation, ratio, CORRELATION_SIZE)
        # The flux in a pixel, and with it sigma, is proportional to the area of the pixel.
        return correlation, ratio**4 * variance

    def _has_noise(self, row: int) -> bool:
        """Whether the variance of a galaxy's noise is known."""
        return bool(np.isfinite(self._catalog.noise_sigma[row]))

    def __len__(self) -> int:
        return len(self._rows)

    def psfs(self) -> np.ndarray:
        size, scale = self.recipe.stamp.psf_size, self.recipe.stamp.pixel_scale
        images = np.empty((len(self._rows), size, size), np.float32)
        for number, row in enumerate(self._rows.tolist()):
            images[number] = self._catalog.psf_image(row, size, scale)
        return images

    def noise_correlations(self) -> np.ndarray:
        return self._correlations

    def example(self, number: int) -> Example | None:
        row = int(self._rows[number])
        if not self._has_noise(row):
            return None
        columns = {name: float(values[row]) for name, values in self._columns.items()}
        if not np.all(np.isfinite(list(columns.values()))):
            return None
        stamp = self.recipe.stamp
        side = stamp.size * stamp.pixel_scale
        galaxy = galsim.RealGalaxy(
            self._catalog.galaxies, index=row, noise_pad_size=1.5 * side,
            rng=galsim.BaseDeviate(self.recipe.seed + 1 + number))
        image = galaxy.original_gal.drawImage(
            nx=stamp.size, ny=stamp.size, scale=stamp.pixel_scale, method="no_pixel", dtype=float)
        if not np.isfinite(image.array).all():
            return None
        noise_index = int(self._noise_index[number])
        sigma = np.sqrt(self._variance_ratios[noise_index]) * self._catalog.noise_sigma[row]
        return Example(stamp=image.array, psf_index=number, noise_sigma=float(sigma),
                       noise_index=noise_index, columns=columns, source=number,
                       test=number in self._test)
