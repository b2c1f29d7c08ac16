"""The galaxies of the collection, at their natural size, to compare a module with."""

__all__ = ["CollectionGalaxies"]

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import galsim
import numpy as np
from galsim import GalSimConfigError
from scipy import signal

from .collection import CollectedGalaxy, Collection
from .filling import filled
from .noise import CORRELATION_SIZE, resized_correlation, smoothed_variance
from .observation import Observation
from .psf import half_light_radius, psf_image, radius_before_psf
from .real_galaxies import (
    PADDING,
    PARTS,
    PSF_SIZE,
    CardColumn,
    ModuleCard,
    NaturalSize,
    RealGalaxies,
)
from .units import arcsec_of

MARGIN = 1.25
"""Half of a stamp, over the radius of the region with light."""
SKY = 8
"""Pixels that half of a stamp is larger still."""
HALF_SIZES = (24, 200)
"""Smallest and largest half of a stamp [pixels]."""
NOISE = "acs_f814w"
"""The conditions whose noise is added to images that are cut at a segment and have no sky."""

_COLUMN_OF_QUANTITY = dict(magnitude="magnitude", redshift="redshift")
_OTHER_COLUMNS = dict(axis_ratio="axis_ratio", sersic_index="sersic_n")
"""Columns that a module takes from the table only if it cannot draw them itself."""


class CollectionGalaxies(RealGalaxies):
    """Galaxies of the collection as they were observed: own PSF, pixel scale, noise and mask.

    Stamps are cut out around the galaxy and not interpolated; each is in the flux unit of the
    module.  Its `Observation` knows where between the pixels the galaxy lies, so that others are
    drawn at the same place.

    Images that are cut at a segment have no noise of the sky.  They get that of the COSMOS survey,
    which hides where they are cut; so do galaxies that are drawn under their conditions.

    Columns of the module are found by the quantity that they measure.  A size is the radius of the
    circle with half of the light in the image; unless the column is defined as observed, the
    half-light radius of the PSF is subtracted in quadrature.
    Quantities that the module can draw itself, besides size, magnitude and redshift, are not
    given, unless ``columns`` names them.

    Parameters are those of `open_real_galaxies`.

    Raises:
        galsim.GalSimError: if the collection cannot be read or lacks a quantity, or there is no
                            such part.

    Example::

        galaxies = open_real_galaxies("training/sources/real_galaxies.h5", card, parts=("seen",))
        observation = galaxies.observation(0)

    There must be such a file:

        >>> card = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae").card
        >>> CollectionGalaxies(Path("no.h5"), card, None, 1, {}, PARTS)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        galsim.errors.GalSimError: There is no collection of galaxies no.h5. ...
    """

    def __init__(self, path: Path, card: ModuleCard, count: int | None, seed: int,
                 columns: Mapping[str, str], parts: Sequence[str]) -> None:
        unknown = sorted(set(parts) - set(PARTS))
        if unknown or not parts:
            raise GalSimConfigError(f"The collection has the parts {', '.join(PARTS)}, not "
                                    f"{', '.join(unknown) or 'none'}.")
        self._collection = Collection(path)
        self._zero_point = card.zero_point
        self._seed = seed
        table = self._collection.table
        part = np.where(table["judge_only"], "judges",
                        np.where(table["held_out"], "held-out", "seen"))
        rows = np.flatnonzero(np.isin(part, parts))
        self.name = f"{path.stem} ({', '.join(name for name in PARTS if name in parts)})"
        values = {column.name: self._column(column, card, columns)[rows]
                  for column in card.columns}
        values, left_out = _within_ranges(values, card)
        # An optional column that is not given is not known for any galaxy.
        may_lack = [column.name for column in card.columns
                    if column.optional and column.quantity not in ("magnitude",
                                                                   "half_light_radius")]
        self._rows = rows[self._choose(values, np.asarray(table["group"])[rows], count, seed,
                                       may_lack)]
        outside = sum(left_out.values())
        if outside:
            self.left_out["a column is missing"] -= outside
            self.left_out = {reason: number for reason, number
                             in (self.left_out | left_out).items() if number}
        chosen = table[self._rows]
        self.pixel_scales = np.asarray(chosen["pixel_scale"], float)
        self.stamp_sizes = 2 * np.clip(
            np.ceil(MARGIN * np.asarray(chosen["radius_used"])) + SKY, *HALF_SIZES).astype(int)
        self._conditions = self._collection.conditions(NOISE)
        sigma, correlation = self._added_noise(self._conditions.pixel_scale)
        middle = len(self._conditions.psf) // 2
        self.natural = NaturalSize(
            cosmos=Observation(
                number=0, stamp=np.zeros((2, 2)), psf=self._conditions.psf[middle],
                pixel_scale=self._conditions.pixel_scale, noise_sigma=sigma, columns={},
                noise_correlation=correlation, zero_point=self._zero_point),
            parts=part[self._rows], surveys=np.asarray(chosen["survey"], str),
            has_wings=~np.asarray(chosen["cut"], bool),
            **{attribute: np.asarray(chosen[name], float) for attribute, name in (
                ("magnitudes", "magnitude"), ("redshifts", "redshift"),
                ("half_light_radii", "half_light_radius"), ("flux_radii", "flux_radius"))})

    def observation(self, number: int) -> Observation:
        row = int(self._rows[number])
        galaxy = self._collection.galaxy(row)
        gain = 10 ** (0.4 * (self._zero_point - galaxy.zero_point))
        size = int(self.stamp_sizes[number])
        image, usable, offset = _cut_out(galaxy, size)
        sigma, correlation = gain * galaxy.noise_sigma, galaxy.noise_correlation
        footprint = np.isfinite(image)
        if galaxy.cut:
            sigma, correlation = self._added_noise(galaxy.pixel_scale)
            footprint[:] = True  # beyond the image there is nothing, as within it
        bare = Observation(
            number=number, stamp=np.zeros((size, size)), psf=_psf(galaxy),
            pixel_scale=galaxy.pixel_scale, noise_sigma=sigma,
            columns={name: float(values[number]) for name, values in self.columns.items()},
            noise_correlation=None if correlation is None else
            resized_correlation(correlation, min(len(correlation), CORRELATION_SIZE)),
            source=int(self.source[number]), footprint=None if footprint.all() else footprint,
            usable=None if usable.all() else usable, offset=offset,
            photon_variance=gain * galaxy.photon_variance, extent=_extent(galaxy),
            zero_point=self._zero_point)
        noise = bare.noise(np.random.default_rng([self._seed, row, PADDING]))
        light = gain * np.nan_to_num(image)
        stamp = np.where(np.isfinite(image), light, noise)
        if galaxy.cut:
            stamp = light + noise
        if not usable.all():
            stamp = filled(stamp, usable, offset)
        return dataclasses.replace(bare, stamp=stamp)

    def _column(self, column: CardColumn, card: ModuleCard, columns: Mapping[str, str]
                ) -> np.ndarray:
        """A column of the module for all rows of the collection, in the unit of the module."""
        table, name = self._collection.table, columns.get(column.name)
        if name is None and column.quantity == "half_light_radius":
            radius = np.asarray(table["flux_radius"], float)
            if not column.as_observed:
                radius = radius_before_psf(radius, self._psf_radii())
            return radius / arcsec_of(column.unit, card.pixel_scale)
        if name is None:
            name = _COLUMN_OF_QUANTITY.get(column.quantity)
        if name is None and column.optional:
            return np.full(len(table), np.nan)
        if name is None:
            name = _OTHER_COLUMNS.get(column.quantity, column.name)
        if name not in table.colnames:
            raise GalSimConfigError(
                f"The collection {self._collection.path} has no column '{name}' for the column "
                f"{column.name} of the module. It has the columns {', '.join(table.colnames)}. "
                "Name one of them with --column COLUMN=NAME.")
        return np.asarray(table[name], float)

    def _psf_radii(self) -> np.ndarray:
        """Half-light radius of the PSF of all rows of the collection [arcsec]."""
        names = np.asarray(self._collection.table["psf"])
        known, first, which = np.unique(names, return_index=True, return_inverse=True)
        radii = np.empty(len(known))
        for number, row in enumerate(first):
            galaxy = self._collection.galaxy(int(row))
            radii[number] = half_light_radius(galaxy.psf, galaxy.psf_scale)
        return radii[which]

    def _added_noise(self, pixel_scale: float) -> tuple[float, np.ndarray]:
        """Level and correlation of COSMOS noise on pixels of a size [arcsec].

        The pixels of COSMOS are summed to larger ones, by a whole number of them.
        """
        conditions = self._conditions
        sigma = float(np.sqrt(np.median(conditions.noise_variance))) * 10 ** (
            0.4 * (self._zero_point - conditions.zero_point))
        number = max(1, round(pixel_scale / conditions.pixel_scale))
        pixel = np.ones((number, number))
        sums = signal.convolve2d(conditions.noise_correlation, signal.convolve2d(pixel, pixel))
        middle = len(sums) // 2
        kept = sums[middle % number::number, middle % number::number]
        return (sigma * np.sqrt(smoothed_variance(conditions.noise_correlation, pixel)),
                kept / sums[middle, middle])


def _within_ranges(values: Mapping[str, np.ndarray], card: ModuleCard
                   ) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The columns, with NaN outside of the ranges of the module, and how many these are.

    A galaxy is counted with the first column that is out of range.
    """
    result, left_out = dict(values), {}
    inside = np.ones(len(next(iter(values.values()))), bool)
    for column in card.columns:
        low, high = column.usable_range
        with np.errstate(invalid="ignore"):
            outside = inside & ((values[column.name] < low) | (values[column.name] > high))
        if outside.any():
            left_out[f"{column.name} is outside of the range of the module, {low:g} to "
                     f"{high:g}"] = int(outside.sum())
            inside &= ~outside
    required = next((column.name for column in card.columns
                     if column.quantity in ("magnitude", "half_light_radius")), None)
    if required is not None:
        result[required] = np.where(inside, values[required], np.nan)
    return result, left_out


def _cut_out(galaxy: CollectedGalaxy, size: int
             ) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """The pixels around a galaxy.

    Parameters:
        galaxy:     The galaxy.
        size:       Pixels on a side of the stamp, even.

    Returns:
        (image, usable, offset): float64 [size, size], NaN beyond the image; bool [size, size]; and
        the position (x, y) of the galaxy from the true centre of the stamp [pixels].
    """
    image, usable = np.full((size, size), np.nan), np.ones((size, size), bool)
    to, start, offset = [], [], []
    for centre, length in zip((galaxy.y, galaxy.x), galaxy.image.shape, strict=True):
        first = round(centre - 0.5 * (size - 1))
        low, high = max(first, 0), min(first + size, length)
        to.append(slice(low - first, high - first))
        start.append(slice(low, high))
        offset.append(centre - (first + 0.5 * (size - 1)))
    image[tuple(to)] = galaxy.image[tuple(start)]
    usable[tuple(to)] = galaxy.usable[tuple(start)]
    return image, usable, (offset[1], offset[0])


def _extent(galaxy: CollectedGalaxy) -> float:
    """Radius of the region with light, as far as the image goes [pixels]."""
    if galaxy.cut:
        return galaxy.radius_used
    edges = (galaxy.x, galaxy.y, galaxy.image.shape[1] - 1 - galaxy.x,
             galaxy.image.shape[0] - 1 - galaxy.y)
    return float(np.clip(galaxy.radius_used, 1.0, max(1.0, min(edges) + 0.5)))


def _psf(galaxy: CollectedGalaxy) -> np.ndarray:
    """The PSF on the pixels of the image."""
    profile = galsim.InterpolatedImage(galsim.Image(galaxy.psf, scale=galaxy.psf_scale), flux=1.0)
    pixels = int(len(galaxy.psf) * galaxy.psf_scale / galaxy.pixel_scale)
    size = min(PSF_SIZE, pixels - (pixels + 1) % 2)
    if np.isclose(galaxy.psf_scale, galaxy.pixel_scale, rtol=1e-5):
        cut = (len(galaxy.psf) - size) // 2
        image = galaxy.psf[cut:cut + size, cut:cut + size]
        return image / image.sum()
    return psf_image(profile, size, galaxy.pixel_scale)
