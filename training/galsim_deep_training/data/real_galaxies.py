"""The real-galaxy builder: the galaxies of a GalSim catalogue folder, as they were observed.

Reads any folder that `galsim.RealGalaxyCatalog` reads; with ``exclusion_level`` the quality cuts of
`galsim.COSMOSCatalog` (a `galsim.GalaxySample`) are applied, which need the catalogue of parametric
fits beside it.
"""

__all__ = ["RealGalaxies"]

import galsim
import numpy as np
from galsim import GalSimConfigError

from galsim_deep.real_catalog import RealCatalog

from ..recipe import Settings
from .build import Builder
from .dataset import Example
from .stamps import psf_image


class RealGalaxiesSettings(Settings):
    """Settings of the ``real_galaxies`` builder."""

    catalog: str
    """The main catalogue file of the folder."""
    columns: dict[str, str] = {}
    """Where each column of the recipe is found: its name in the catalogue, or in the catalogue of
    fits beside it (`galsim_deep.real_catalog`).  [default: the same name]"""
    exclusion_level: str | None = None
    """Quality cuts of `galsim.COSMOSCatalog` to apply, such as ``marginal``.  [default: no cuts]"""
    test_fraction: float = 0.1


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
        self._columns = {
            column.name: self._read(catalog, column.name) for column in recipe.columns}
        count = len(self._index)
        order = np.random.default_rng([recipe.seed, 0]).permutation(count)
        self._test = set(order[:round(settings.test_fraction * count)].tolist())

    def _read(self, catalog, name):
        try:
            return catalog.column(self.settings.columns.get(name, name))
        except GalSimConfigError as err:
            raise GalSimConfigError(
                f"The recipe {self.recipe.path}, column '{name}': {err}") from None

    def __len__(self):
        return len(self._index)

    def psfs(self):
        size, scale = self.recipe.stamp.psf_size, self.recipe.stamp.pixel_scale
        return np.stack([
            psf_image(self._catalog.getPSF(int(i)).withFlux(1.0), size, scale)
            for i in self._index])

    def example(self, number):
        row = int(self._index[number])
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
        return Example(
            stamp=image.array, psf_index=number,
            noise_sigma=float(np.sqrt(self._catalog.variance[row])),
            columns=columns, source=number, test=number in self._test)
