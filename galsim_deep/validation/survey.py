"""Where the real galaxies come from: a GalSim catalogue folder, or a training data set.

Both are read as a `Survey`, a sequence of `Observation`.  Another source of real galaxies is
another subclass.
"""

__all__ = ["HDF5", "Survey", "open_survey"]

import abc
import dataclasses
import functools
from pathlib import Path

import galsim
import numpy as np
from galsim import GalSimConfigError, GalSimError

from ..real_catalog import RealCatalog
from ..stamps_file import StampsFile
from .clipped import ClippedObservation
from .observation import Observation

HDF5 = (".h5", ".hdf5")
"""Endings of data set files."""
PADDING = 1000
"""Keeps the noise of the padding apart from other random numbers of a galaxy."""
PSF_SIZE = 65
"""Pixels on a side of the PSF images that are cut out of a catalogue."""


class Survey(abc.ABC):
    """Real galaxies that a module is compared with.

    Attributes:
        name:           What to call it in a report.
        pixel_scale:    Size of a pixel of its stamps [arcsec].
        stamp_size:     Pixels on a side of its stamps.
        columns:        The columns of the module, a dict of float64 arrays [N].
        source:         Number of the galaxy each stamp was made from, int [N].
        recipe_sha256:  The hash of the recipe of the data set, empty for other galaxies.
        left_out:       Why galaxies of the file are not in the sample: {reason: how many}.
    """

    name: str
    pixel_scale: float
    stamp_size: int
    columns: dict
    source: np.ndarray
    left_out: dict
    recipe_sha256 = ""

    def __len__(self):
        return len(self.source)

    @abc.abstractmethod
    def observation(self, number):
        """The `Observation` of galaxy ``number``."""

    def _choose(self, columns, source, count, seed):
        """Keep the rows that can be used, and ``count`` of these at random.

        Returns:
            the places of the rows that are kept.
        """
        complete = np.all([np.isfinite(values) for values in columns.values()], axis=0)
        kept = np.flatnonzero(complete)
        self.left_out = {}
        if len(kept) < len(complete):
            self.left_out["a column is missing"] = int(len(complete) - len(kept))
        if count is not None and count < 1:
            raise GalSimConfigError(f"At least one galaxy is needed, not {count}.")
        if count is not None and count < len(kept):
            self.left_out["not asked for"] = int(len(kept) - count)
            chosen = np.random.default_rng([seed, 0]).permutation(len(kept))[:count]
            kept = kept[np.sort(chosen)]
        if not len(kept):
            raise GalSimError(f"{self.name} holds no galaxy that can be used.")
        self.columns = {name: values[kept] for name, values in columns.items()}
        self.source = source[kept]
        return kept


def open_survey(path, card, *, count=None, seed=1, columns=None, split="test"):
    """Open real galaxies to compare a module with.

    Parameters:
        path:       A folder (or main catalogue file) that `galsim.RealGalaxyCatalog` reads, or an
                    HDF5 file made by ``galsim-deep-train data``.
        card:       The card of the module.
        count:      How many galaxies to take at most, at random.  [default: all]
        seed:       Seed of that choice.
        columns:    A dict: column of the module -> its name in the catalogue.
                    [default: the same name]
        split:      ``test`` or ``train``: which part of an HDF5 file.

    Returns:
        a `Survey`.

    Raises a `galsim.GalSimError` where the galaxies cannot be read or lack a column.
    """
    path = Path(path)
    columns = dict(columns or {})
    unknown = sorted(columns.keys() - {column.name for column in card.columns})
    if unknown:
        raise GalSimConfigError(
            f"The module {card.name} has no column {', '.join(unknown)}; it has: "
            f"{', '.join(column.name for column in card.columns)}.")
    if path.suffix in HDF5:
        return TrainingFile(path, card, count, seed, columns, split)
    return CatalogFolder(path, card, count, seed, columns)


class CatalogFolder(Survey):
    """The galaxies of a `galsim.RealGalaxyCatalog`, on stamps of the module's extent.

    Stamps of the catalogue are cut, or padded with noise of the same correlation.  They are not
    interpolated: where an odd stamp is set into an even one it moves by half a pixel.  What was
    observed is the footprint of an `Observation`; the other samples are cut to it.
    """

    def __init__(self, path, card, count, seed, columns):
        self._catalog = RealCatalog(path)
        self.name = self._catalog.path.resolve().parent.name
        galaxies = self._catalog.galaxies
        scales = np.asarray(galaxies.pixel_scale, float)
        if np.ptp(scales) > 1e-5 * scales[0]:
            raise GalSimError(f"The catalogue {path} mixes pixel scales: {np.unique(scales)}. "
                              "Split it.")
        # Single precision turns 0.03 into 0.029999999.
        self.pixel_scale = float(f"{scales[0]:.6g}")
        self.stamp_size = 2 * round(card.stamp_size * card.pixel_scale / self.pixel_scale / 2)
        self._seed = seed
        self._correlations = {}
        values = {}
        for column in card.columns:
            values[column.name] = self._catalog.column(columns.get(column.name, column.name))
            if column.unit in ("pix", "pixel"):
                # Catalogues count in their own pixels, modules in theirs.
                values[column.name] *= self.pixel_scale / card.pixel_scale
        self._rows = self._choose(values, np.arange(len(self._catalog)), count, seed)

    def observation(self, number):
        row = int(self._rows[number])
        galaxies = self._catalog.galaxies
        image = galaxies.getGalImage(row).array
        place, taken = _middle((self.stamp_size, self.stamp_size), image.shape)
        footprint = np.zeros((self.stamp_size, self.stamp_size), bool)
        footprint[place] = True
        empty = Observation(
            number=number, stamp=np.zeros(footprint.shape), psf=self._psf(row),
            pixel_scale=self.pixel_scale,
            # What is no variance becomes NaN, which is flagged where it is used.
            noise_sigma=float(np.sqrt(galaxies.variance[row]) if galaxies.variance[row] > 0
                              else np.nan),
            footprint=None if footprint.all() else footprint,
            noise_correlation=self._correlation(row),
            columns={name: float(values[number]) for name, values in self.columns.items()},
            source=int(self.source[number]))
        stamp = empty.noise(np.random.default_rng([self._seed, row, PADDING]))
        stamp[place] = image[taken]
        return dataclasses.replace(empty, stamp=stamp)

    def _psf(self, row):
        """The PSF image of a galaxy; NaN where there is none."""
        try:
            psf = self._catalog.galaxies.getPSF(row).drawImage(
                nx=PSF_SIZE, ny=PSF_SIZE, scale=self.pixel_scale, method="no_pixel",
                dtype=float).array
        except galsim.GalSimError:
            psf = np.full((PSF_SIZE, PSF_SIZE), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            return psf / psf.sum()

    def _correlation(self, row):
        """The correlation of the noise in one galaxy's stamp; read once for each noise file."""
        names = self._catalog.galaxies.noise_file_name
        # It comes scaled by the variance: without one, nothing is learned for the other galaxies.
        if names is None or not self._catalog.galaxies.variance[row] > 0:
            return None
        if names[row] not in self._correlations:
            drawn = galsim.Image(33, 33, scale=self.pixel_scale, dtype=float)
            noise = self._catalog.galaxies.getNoise(row, rng=galsim.BaseDeviate(1))
            noise.drawImage(drawn)
            self._correlations[names[row]] = drawn.array / drawn.array[16, 16]
        return self._correlations[names[row]]


class TrainingFile(Survey):
    """One part of a data set file (see `galsim_deep.stamps_file` for its layout)."""

    def __init__(self, path, card, count, seed, columns, split):
        if split not in ("test", "train"):
            raise GalSimConfigError(f"A data set has the parts test and train, not '{split}'.")
        self._file = StampsFile(path)
        self.pixel_scale = self._file.pixel_scale
        self.stamp_size = self._file.stamp_size
        self.recipe_sha256 = self._file.recipe_sha256
        self._psfs = self._file.psfs.astype(float)
        self._correlations = [_unless_white(values.astype(float))
                              for values in self._file.noise_correlation]
        self._truth = {int(row): i for i, row in enumerate(self._file.truth_index)}
        self.name = f"{path.stem} ({split})"
        here = np.flatnonzero(self._file.test == (split == "test"))
        values = {column.name: self._column(columns.get(column.name, column.name))[here]
                  for column in card.columns}
        self._rows = here[self._choose(values, self._file.source[here], count, seed)]

    def _column(self, name):
        if name not in self._file.columns:
            raise GalSimConfigError(
                f"The data set {self._file.path} has no column '{name}'. There are: "
                f"{', '.join(self._file.columns)}. Say which to take instead.")
        return self._file.columns[name].astype(float)

    def observation(self, number):
        row, made = int(self._rows[number]), Observation
        if self._file.clipping is not None:
            made = functools.partial(ClippedObservation, clipping=self._file.clipping)
        return made(
            number=number, stamp=self._file.stamp(row).astype(float),
            psf=self._psfs[self._file.psf_index[row]], pixel_scale=self.pixel_scale,
            noise_sigma=float(self._file.noise_sigma[row]),
            noise_correlation=self._correlations[self._file.noise_index[row]],
            columns={name: float(values[number]) for name, values in self.columns.items()},
            source=int(self.source[number]),
            truth=self._file.truth(self._truth[row]).astype(float) if row in self._truth else None)


def _unless_white(correlation):
    """A correlation function, or None for that of white noise."""
    white = np.count_nonzero(correlation) == 1
    return None if white else correlation


def _middle(shape, extent):
    """Where an image goes in the middle of a stamp, and what of it fits: two tuples of slices."""
    place, taken = [], []
    for size, n in zip(shape, extent, strict=True):
        both = min(size, n)
        place.append(slice((size - both) // 2, (size - both) // 2 + both))
        taken.append(slice((n - both) // 2, (n - both) // 2 + both))
    return tuple(place), tuple(taken)
