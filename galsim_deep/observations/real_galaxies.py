"""Real galaxies to compare a module with, from a GalSim catalogue folder or an HDF5 file.

An HDF5 file is a training data set, or the collection of real galaxies at their natural size
(`galsim_deep.observations.collection_galaxies`).  All are read as `RealGalaxies`, a
sequence of `Observation`.  Galaxies that come in another form need another subclass.
"""

__all__ = ["DATA_SET_SUFFIXES", "PARTS", "UNSEEN", "CatalogGalaxies", "DataSetGalaxies",
           "ModuleCard", "NaturalSize", "RealGalaxies", "is_collection", "open_real_galaxies"]

import abc
import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import galsim
import numpy as np
from galsim import GalSimConfigError, GalSimError

from .observation import Observation
from .real_catalog import RealCatalog
from .stamps_file import StampsFile
from .units import arcsec_of, is_pixel

DATA_SET_SUFFIXES = (".h5", ".hdf5")
"""Suffixes of data set files."""
PARTS = ("held-out", "judges", "seen")
"""The parts of the collection of real galaxies: those that no module may be trained on; stamps of
COSMOS and AEGIS, which are used for validation alone; and those that modules are trained on."""
UNSEEN = ("held-out", "judges")
"""The parts that no module was trained on."""
PSF_SIZE = 65
"""Pixels on a side of the PSF images that are drawn from a catalogue."""

# Random streams of numpy's generators, seeded with [seed, ...].  The other streams of a validation
# are listed in `galsim_deep.validation.random_streams`.
_CHOICE = 0
"""[seed, _CHOICE]: which galaxies are chosen if not all are used."""
PADDING = 1000
"""[seed, row, PADDING]: the noise that pads the stamp of a galaxy."""


class CardColumn(Protocol):
    """The part of a column's description that is needed to read it."""

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def quantity(self) -> str: ...

    @property
    def as_observed(self) -> bool: ...

    @property
    def optional(self) -> bool: ...

    @property
    def may_be_absent(self) -> bool: ...

    @property
    def usable_range(self) -> tuple[float, float]: ...


class ModuleCard(Protocol):
    """The part of a module's card that is needed to read galaxies for it.

    >>> from galsim_deep.modules.card import read_card
    >>> from galsim_deep.modules.resolve import resolve
    >>> card: ModuleCard = read_card(resolve("hub:acs_flow_vae"))
    >>> card.trained_size, [column.name for column in card.columns][:3]
    (128, ['hlr', 'mag_auto', 'zphot'])
    """

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> Sequence[CardColumn]: ...

    @property
    def trained_size(self) -> int: ...

    @property
    def pixel_scale(self) -> float: ...

    @property
    def zero_point(self) -> float: ...


@dataclasses.dataclass(frozen=True)
class NaturalSize:
    """What is known of galaxies that are observed as they are, besides their columns.

    Attributes:
        parts:              The part of the collection that each galaxy belongs to, text [N].
        surveys:            The survey that each stamp is from, text [N].
        magnitudes:         Float64 [N].
        redshifts:          Float64 [N]; NaN if it is not known.
        half_light_radii:   Of the Sersic fit, before the PSF [arcsec], float64 [N].
        flux_radii:         Radius of half of the light, as observed [arcsec], float64 [N].
        has_wings:          Whether the light was observed as far as it goes, and was not cut at a
                            segment, bool [N].
        cosmos:             How the COSMOS survey observes: an `Observation` of nothing, in the flux
                            unit of the module.

    Example:

        >>> values = np.ones(1)
        >>> nothing = Observation(number=0, stamp=np.zeros((8, 8)), psf=np.ones((1, 1)),
        ...                       pixel_scale=0.03, noise_sigma=0.003, columns={})
        >>> natural = NaturalSize(np.array(["seen"]), np.array(["a survey"]), values, values,
        ...                       values, values, np.ones(1, bool), nothing)
        >>> str(natural.parts[0])
        'seen'
    """

    parts: np.ndarray
    surveys: np.ndarray
    magnitudes: np.ndarray
    redshifts: np.ndarray
    half_light_radii: np.ndarray
    flux_radii: np.ndarray
    has_wings: np.ndarray
    cosmos: Observation


class RealGalaxies(abc.ABC):
    """Real galaxies that a module is compared with.

    Attributes:
        name:           Their name in a report.
        pixel_scales:   Size of a pixel of each stamp [arcsec], float64 [N].
        stamp_sizes:    Pixels on a side of each stamp, int [N].
        columns:        The columns of the module, {name: float64 [N]}.
        source:         Number of the galaxy that each stamp was made from, int [N].
        recipe_sha256:  The hash of the settings that a training data set depends on; empty
                        otherwise.
        left_out:       Why galaxies of the file are not in the sample, {reason: number of them}.
        natural:        What is known of galaxies at their natural size, a `NaturalSize`; None for
                        others.

    Example, where ``data_file`` is a data set of twenty galaxies:

        >>> card = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae").card
        >>> galaxies = open_real_galaxies(data_file, card, count=8)
        >>> len(galaxies), galaxies.left_out
        (8, {'not selected at random': 12})
        >>> observation = galaxies.observation(0)
        >>> observation.stamp.shape, observation.columns["mag_auto"]
        ((32, 32), 22.0)
    """

    name: str
    pixel_scales: np.ndarray
    stamp_sizes: np.ndarray
    columns: dict[str, np.ndarray]
    source: np.ndarray
    left_out: dict[str, int]
    recipe_sha256: str = ""
    natural: NaturalSize | None = None

    def __len__(self) -> int:
        return len(self.source)

    @abc.abstractmethod
    def observation(self, number: int) -> Observation:
        """The `Observation` of galaxy ``number``, from 0 to N - 1."""

    def _choose(self, columns: Mapping[str, np.ndarray], source: np.ndarray, count: int | None,
                seed: int, may_lack: Collection[str] = ()) -> np.ndarray:
        """Keep the rows that have all columns, or ``count`` of these at random.

        Sets ``columns``, ``source`` and ``left_out``.

        Parameters:
            columns:    {name: [M]}.
            source:     Number of the galaxy of each row, [M].
            count:      Largest number of rows.
            seed:       Seed of their choice.
            may_lack:   Columns that need not be known.

        Returns:
            the rows that are kept, int [N].
        """
        complete = np.all([np.isfinite(values) for name, values in columns.items()
                           if name not in may_lack] + [np.ones(len(source), bool)], axis=0)
        kept = np.flatnonzero(complete)
        self.left_out = {}
        if len(kept) < len(complete):
            self.left_out["a column is missing"] = int(len(complete) - len(kept))
        if count is not None and count < 1:
            raise GalSimConfigError(f"At least one galaxy is needed, not {count}.")
        if count is not None and count < len(kept):
            self.left_out["not selected at random"] = int(len(kept) - count)
            chosen = np.random.default_rng([seed, _CHOICE]).permutation(len(kept))[:count]
            kept = kept[np.sort(chosen)]
        if not len(kept):
            raise GalSimError(f"{self.name} holds no galaxy that can be used.")
        self.columns = {name: values[kept] for name, values in columns.items()}
        self.source = source[kept]
        return kept


def open_real_galaxies(path: str | os.PathLike, card: ModuleCard, *, count: int | None = None,
                       seed: int = 1, columns: Mapping[str, str] | None = None,
                       split: str = "test", parts: Sequence[str] = UNSEEN) -> RealGalaxies:
    """Open real galaxies to compare a module with.

    Parameters:
        path:       A folder (or main catalogue file) that `galsim.RealGalaxyCatalog` reads, an HDF5
                    file made by ``galsim-deep-train data``, or the collection of real galaxies.
        card:       The card of the module.
        count:      Largest number of galaxies, chosen at random.  [default: all]
        seed:       Seed of that choice, and of the noise that pads stamps.
        columns:    {column of the module: its name in the catalogue}.  [default: the same name; in
                    the collection, the column that measures the same quantity]
        split:      ``test`` or ``train``: which part of a data set.
        parts:      Which of the `PARTS` of the collection.  [default: `UNSEEN`]

    Returns:
        a `RealGalaxies`.

    Raises:
        galsim.GalSimError: if the galaxies cannot be read or lack a column.
    """
    path = Path(path)
    columns = dict(columns or {})
    unknown = sorted(columns.keys() - {column.name for column in card.columns})
    if unknown:
        raise GalSimConfigError(
            f"The module {card.name} has no column {', '.join(unknown)}; it has: "
            f"{', '.join(column.name for column in card.columns)}.")
    if path.suffix in DATA_SET_SUFFIXES and is_collection(path):
        # That file builds on this one.
        from .collection_galaxies import CollectionGalaxies

        return CollectionGalaxies(path, card, count, seed, columns, parts)
    if path.suffix in DATA_SET_SUFFIXES:
        return DataSetGalaxies(path, card, count, seed, columns, split)
    return CatalogGalaxies(path, card, count, seed, columns)


def is_collection(path: str | os.PathLike) -> bool:
    """Whether a file is an HDF5 file with the table of a collection of real galaxies."""
    try:
        import h5py

        with h5py.File(path, "r") as file:
            return "table" in file and "images" in file
    except (ImportError, OSError):  # the reader of the file says what is wrong
        return False


def _may_lack(card: ModuleCard) -> list[str]:
    """The columns that the module draws where a file of galaxies does not have them."""
    return [column.name for column in card.columns if column.may_be_absent]


class CatalogGalaxies(RealGalaxies):
    """The galaxies of a `galsim.RealGalaxyCatalog`, on stamps of the module's extent.

    Stamps of the catalogue are cut, or padded with noise of the same correlation.  They are not
    interpolated: an odd stamp that is padded to an even one is shifted by half a pixel.  The pixels
    that were observed are the footprint of each `Observation`; generated and parametric galaxies
    are cut to it.

    Parameters are those of `open_real_galaxies`.

    Raises:
        galsim.GalSimError: if the catalogue cannot be read or lacks a column.

    Example, where ``catalogue_folder`` holds one galaxy, on a stamp of 31 pixels of 0.05 arcsec:

        >>> card = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae").card
        >>> galaxies = CatalogGalaxies(Path(catalogue_folder), card, None, seed=1, columns={})
        >>> observation = galaxies.observation(0)
        >>> observation.stamp.shape, int(observation.footprint.sum()) == 31 * 31
        ((76, 76), True)
    """

    def __init__(self, path: Path, card: ModuleCard, count: int | None, seed: int,
                 columns: Mapping[str, str]) -> None:
        self._catalog = RealCatalog(path)
        self.name = self._catalog.path.resolve().parent.name
        self._seed = seed
        quantities = [column.quantity for column in card.columns]
        values = {}
        for column in card.columns:
            # The catalogue's magnitude stands for that of the module if it is the only one, and the
            # user has not named another.
            unique = quantities.count(column.quantity) == 1 and column.name not in columns
            try:
                values[column.name] = self._catalog.column(
                    columns.get(column.name, column.name),
                    card.pixel_scale if is_pixel(column.unit) else None,
                    column.quantity if unique else "other")
            except GalSimConfigError:
                radii = None
                if column.quantity == "half_light_radius" and unique and not column.as_observed:
                    radii = self._catalog.radii_before_psf()
                if radii is not None:
                    values[column.name] = radii / arcsec_of(column.unit, card.pixel_scale)
                elif column.may_be_absent and column.name not in columns:
                    values[column.name] = np.full(len(self._catalog), np.nan)
                else:
                    raise
        self._rows = self._choose(values, np.arange(len(self._catalog)), count, seed,
                                  _may_lack(card))
        self.pixel_scales = self._catalog.pixel_scales[self._rows].astype(float)
        self.stamp_sizes = 2 * np.round(
            card.trained_size * card.pixel_scale / self.pixel_scales / 2).astype(int)

    def observation(self, number: int) -> Observation:
        row = int(self._rows[number])
        image = self._catalog.stamp(row)
        shape = (int(self.stamp_sizes[number]),) * 2
        target, part = _centred(shape, image.shape)
        footprint = np.zeros(shape, bool)
        footprint[target] = True
        padding = Observation(
            number=number, stamp=np.zeros(footprint.shape), psf=self._psf(row),
            pixel_scale=float(self._catalog.pixel_scales[row]),
            noise_sigma=float(self._catalog.noise_sigma[row]),
            footprint=None if footprint.all() else footprint,
            noise_correlation=self._catalog.noise_correlation(row),
            columns={name: float(values[number]) for name, values in self.columns.items()},
            source=int(self.source[number]))
        stamp = padding.noise(np.random.default_rng([self._seed, row, PADDING]))
        stamp[target] = image[part]
        return dataclasses.replace(padding, stamp=stamp)

    def _psf(self, row: int) -> np.ndarray:
        """The PSF image of a galaxy; NaN if it cannot be read."""
        try:
            return self._catalog.psf_image(
                row, PSF_SIZE, float(self._catalog.pixel_scales[row]))
        except galsim.GalSimError:
            return np.full((PSF_SIZE, PSF_SIZE), np.nan)


class DataSetGalaxies(RealGalaxies):
    """One split of a data set file (see `galsim_deep.observations.stamps_file` for its layout).

    Parameters are those of `open_real_galaxies`.

    Raises:
        galsim.GalSimError: if the file cannot be read or lacks a column, or there is no such split.

    Example, where ``data_file`` holds twenty stamps of ten galaxies:

        >>> card = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae").card
        >>> galaxies = DataSetGalaxies(Path(data_file), card, None, 1, {}, split="test")
        >>> galaxies.name, len(galaxies), len(np.unique(galaxies.source))
        ('data (test)', 20, 10)
    """

    def __init__(self, path: Path, card: ModuleCard, count: int | None, seed: int,
                 columns: Mapping[str, str], split: str) -> None:
        if split not in ("test", "train"):
            raise GalSimConfigError(f"A data set has the parts test and train, not '{split}'.")
        self._file = StampsFile(path)
        self.recipe_sha256 = self._file.recipe_sha256
        self._psfs = self._file.psfs.astype(float)
        self._correlations = [_none_if_white(values.astype(float))
                              for values in self._file.noise_correlation]
        self._noiseless = {int(row): i for i, row in enumerate(self._file.noiseless_index)}
        self.name = f"{path.stem} ({split})"
        rows = np.flatnonzero(self._file.test == (split == "test"))
        values = {}
        for column in card.columns:
            name = columns.get(column.name, column.name)
            is_absent = column.may_be_absent and column.name not in columns and (
                name not in self._file.columns)
            values[column.name] = (np.full(len(rows), np.nan) if is_absent
                                   else self._column(name)[rows])
        self._rows = rows[self._choose(values, self._file.source[rows], count, seed,
                                       _may_lack(card))]
        self.pixel_scales = self._file.pixel_scales[self._rows]
        self.stamp_sizes = np.full(len(self._rows), self._file.stamp_size)

    def _column(self, name: str) -> np.ndarray:
        if name not in self._file.columns:
            raise GalSimConfigError(
                f"The data set {self._file.path} has no column '{name}'. It has the columns "
                f"{', '.join(self._file.columns)}. Name one of them with --column COLUMN=NAME, or "
                "in Python with the argument columns of RealSample.")
        return self._file.columns[name].astype(float)

    def observation(self, number: int) -> Observation:
        row = int(self._rows[number])
        return Observation(
            number=number, stamp=self._file.stamp(row).astype(float),
            psf=self._psfs[self._file.psf_index[row]], pixel_scale=float(self.pixel_scales[number]),
            noise_sigma=float(self._file.noise_sigma[row]),
            noise_correlation=self._correlations[self._file.noise_index[row]],
            columns={name: float(values[number]) for name, values in self.columns.items()},
            source=int(self.source[number]),
            noiseless=(self._file.noiseless(self._noiseless[row]).astype(float)
                       if row in self._noiseless else None),
            clipping=self._file.clipping)


def _none_if_white(correlation: np.ndarray) -> np.ndarray | None:
    """A correlation function, or None if it is that of white noise."""
    return None if np.count_nonzero(correlation) == 1 else correlation


def _centred(shape: tuple[int, int],
             image_shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The slices of a stamp that an image in its middle covers, and those of the part that fits."""
    target, part = [], []
    for size, n in zip(shape, image_shape, strict=True):
        common = min(size, n)
        target.append(slice((size - common) // 2, (size - common) // 2 + common))
        part.append(slice((n - common) // 2, (n - common) // 2 + common))
    return tuple(target), tuple(part)
