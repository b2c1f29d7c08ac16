"""The real-galaxy builder: the galaxies of a GalSim catalogue folder, as they were observed.

Reads any folder that `galsim.RealGalaxyCatalog` reads; with ``exclusion_level`` the quality cuts of
`galsim.COSMOSCatalog` (a `galsim.GalaxySample`) are applied, which need the catalogue of parametric
fits beside it.

A catalogue may have other pixels than the recipe: stamps, PSFs and the correlation of the noise are
sampled anew, and columns in pixels converted.  Galaxies that lack a column, or have one outside its
valid range, are passed over.
"""

__all__ = ["RealGalaxies"]

import galsim
import numpy as np
from galsim import GalSimConfigError

from galsim_deep.real_catalog import RealCatalog

from ..bounds import ShareBelowOne, Text
from ..recipe import Settings
from .build import Builder
from .dataset import Example
from .noise import CORRELATION_SIZE, middle_of, resampled, white
from .stamps import psf_image

SAME_SCALE = 1e-4
"""Pixel scales that differ by less than this, relatively, are the same: catalogues hold them in
single precision."""


class RealGalaxiesSettings(Settings):
    """Settings of the ``real_galaxies`` builder."""

    catalog: Text
    """The main catalogue file of the folder."""
    columns: dict[str, Text] = {}
    """Where each column of the recipe is found: its name in the catalogue, or in the catalogue of
    fits beside it (`galsim_deep.real_catalog`).  [default: the same name]"""
    exclusion_level: str | None = None
    """Quality cuts of `galsim.COSMOSCatalog` to apply, such as ``marginal``.  [default: no cuts]"""
    test_fraction: ShareBelowOne = 0.1
    """Share of the galaxies held out for the test split."""


class RealGalaxies(Builder, name="real_galaxies"):
    """Observed stamps with their own PSF and noise, padded with noise of the same correlation."""

    Settings = RealGalaxiesSettings

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        path = self.locate(settings.catalog)
        catalog = RealCatalog(path)
        self._catalog = catalog.galaxies
        self._index = np.arange(self._catalog.nobjects)
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
            self._index = np.asarray(sample.orig_index)
        count = len(self._index)
        if not count:
            raise GalSimConfigError(f"The recipe {recipe.path}: no galaxy of {path} is left by "
                                    f"exclusion_level '{settings.exclusion_level}'.")
        self._scales = self._pixel_scales(path)
        self._columns = {column.name: self._read(catalog, column) for column in recipe.columns}
        self._read_noise()
        order = np.random.default_rng([recipe.seed, 0]).permutation(count)
        self._test = set(order[:round(settings.test_fraction * count)].tolist())

    def _pixel_scales(self, path):
        """Pixel scale of each galaxy [arcsec], shape [rows of the catalogue]."""
        scales = np.asarray(self._catalog.pixel_scale, float).copy()
        if not np.all(np.isfinite(scales) & (scales > 0)):
            raise GalSimConfigError(f"The catalogue {path} has a pixel scale that is not positive, "
                                    f"in row {np.flatnonzero(~(scales > 0))[0]}.")
        wanted = self.recipe.stamp.pixel_scale
        scales[np.abs(scales / wanted - 1) < SAME_SCALE] = wanted
        return scales

    def _read(self, catalog, column):
        try:
            values = catalog.column(self.settings.columns.get(column.name, column.name))
        except GalSimConfigError as err:
            raise GalSimConfigError(
                f"The recipe {self.recipe.path}, column '{column.name}': {err}") from None
        if column.unit in ("pix", "pixel"):
            # Catalogues count in their own pixels.
            values = values * self._scales / self.recipe.stamp.pixel_scale
        low, high = column.valid_range
        with np.errstate(invalid="ignore"):
            return np.where((values >= low) & (values <= high), values, np.nan)

    def _read_noise(self):
        """The distinct correlations of the noise, and which of them each galaxy has."""
        names = self._catalog.noise_file_name
        kinds = [(None if names is None else str(names[row]), float(f"{self._scales[row]:.6g}"))
                 for row in self._index]
        distinct = {kind: n for n, kind in enumerate(dict.fromkeys(kinds))}
        self._noise_index = np.array([distinct[kind] for kind in kinds])
        # A galaxy whose noise is not known says nothing about that of the others.
        known = {}
        for row, kind in zip(self._index, kinds, strict=True):
            if kind not in known and self._has_noise(row):
                known[kind] = int(row)
        correlations = [self._correlation(known[kind]) if kind in known else (white(), 1.0)
                        for kind in distinct]
        # Variances in the recipe's pixels, relative to the catalogue's.
        self._correlations, self._variance_ratios = map(
            np.array, zip(*correlations, strict=True))

    def _correlation(self, row):
        """(correlation, variance ratio) of one galaxy's noise in pixels of the recipe."""
        ratio = self.recipe.stamp.pixel_scale / self._scales[row]
        size = 2 * int(np.ceil(0.5 * CORRELATION_SIZE * max(1.0, ratio))) + 1
        native = galsim.Image(size, size, scale=self._catalog.pixel_scale[row], dtype=float)
        self._catalog.getNoise(row, rng=galsim.BaseDeviate(1)).drawImage(native)
        correlation = native.array / native.array.max()
        if ratio == 1:
            return middle_of(correlation, CORRELATION_SIZE), 1.0
        correlation, variance = resampled(correlation, ratio, CORRELATION_SIZE)
        # A pixel that is larger holds more light.
        return correlation, ratio**4 * variance

    def _has_noise(self, row):
        return np.isfinite(self._catalog.variance[row]) and self._catalog.variance[row] > 0

    def __len__(self):
        return len(self._index)

    def psfs(self):
        size, scale = self.recipe.stamp.psf_size, self.recipe.stamp.pixel_scale
        images = np.empty((len(self._index), size, size), np.float32)
        for number, row in enumerate(self._index):
            images[number] = psf_image(self._catalog.getPSF(int(row)).withFlux(1.0), size, scale)
        return images

    def noise_correlations(self):
        return self._correlations

    def example(self, number):
        row = int(self._index[number])
        if not self._has_noise(row):
            return None
        columns = {name: float(values[row]) for name, values in self._columns.items()}
        if not np.all(np.isfinite(list(columns.values()))):
            return None
        stamp = self.recipe.stamp
        side = stamp.size * stamp.pixel_scale
        galaxy = galsim.RealGalaxy(
            self._catalog, index=row, noise_pad_size=1.5 * side,
            rng=galsim.BaseDeviate(self.recipe.seed + 1 + number))
        image = galaxy.original_gal.drawImage(
            nx=stamp.size, ny=stamp.size, scale=stamp.pixel_scale, method="no_pixel", dtype=float)
        kind = self._noise_index[number]
        return Example(
            stamp=image.array, psf_index=number,
            noise_sigma=float(np.sqrt(self._variance_ratios[kind] * self._catalog.variance[row])),
            noise_index=int(kind),
            columns=columns, source=number, test=number in self._test)
