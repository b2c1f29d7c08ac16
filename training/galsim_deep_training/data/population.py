"""The population: what magnitude, size, redshift and morphology the galaxies of a survey have.

They are drawn from catalogues of real galaxies, row by row, so that relations between them survive
without having to be named.  A few hundred rows are few: around the trend with magnitude, a
neighbour in magnitude serves as well, and each row stands for a small cloud.

A drawn galaxy has (mag, flux_radius, zphot), a Sersic index n and an axis ratio q.  The first three
come from one row, n and q from another one that is like it in these three: few catalogues have all
five.  Where a magnitude is beyond the catalogues, the galaxies at their end stand in.
"""

__all__ = ["Catalogue", "Counts", "Drawn", "Population", "PopulationSettings"]

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
from astropy.table import Table
from galsim import GalSimConfigError, GalSimError

from galsim_deep.real_catalog import RealCatalog

from ..bounds import Magnitudes, Radii, Redshifts, Share, Text, Within
from ..recipe import Settings

WIDTH = 0.4
"""Rows count with a Gaussian weight of this width in magnitude."""
CLOUD = 0.25
"""Width of the cloud around a row, relative to the scatter of all rows about their trend."""
ALIKE = (0.6, 0.25, 0.35)
"""Widths in magnitude, ln(size) and ln(z + 0.1), about their trends, within which galaxies are
alike: a galaxy has the Sersic index and axis ratio of one that is like it."""
PSF_RADIUS = 2.5
"""Half-light radius of the survey's PSF [pixels], by which sizes before the PSF are made
comparable with observed ones; roughly, for the choice of rows that are alike only."""


class Catalogue(Settings):
    """A catalogue of real galaxies, and the names of its columns."""

    file_name: Text
    """A table that astropy reads (``.csv``, ``.fits``), or the main file of a RealGalaxyCatalog
    with its catalogue of fits beside it."""
    magnitude: Text
    flux_radius: Text | None = None
    """Half-light radius as observed [pixels of the recipe]."""
    half_light_radius: Text | None = None
    """Half-light radius before the PSF [arcsec], where there is no ``flux_radius``; such rows only
    tell the morphology."""
    zphot: Text | None = None
    sersic_n: Text | None = None
    axis_ratio: Text | None = None
    ellipticity: Text | None = None
    """|g| = (1 - q) / (1 + q), where there is no ``axis_ratio``."""


class Counts(Settings):
    """Number counts: those of a catalogue, and ln N rising by ``slope`` a magnitude beyond it."""

    slope: Annotated[float, Within(-10, 10)]
    file_name: Text | None = None
    """A catalogue that is complete to its faintest magnitude.  [default: the slope throughout]"""
    magnitude: Text = "mag"
    """Its column."""


class PopulationSettings(Settings):
    """The population that galaxies are drawn from."""

    magnitudes: Magnitudes
    """Range of magnitudes, bright and faint."""
    counts: Counts
    flat_share: Share = 0.0
    """Share of the examples whose magnitude is drawn flat in the range, not from the counts."""
    flux_radius: Radii
    """Range of sizes [pixels]."""
    redshift: Redshifts
    """Range of redshifts."""
    catalogs: tuple[Catalogue, ...]
    """Catalogues with magnitude, size and redshift; some with Sersic index and axis ratio."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What a galaxy should be like."""

    magnitude: float
    flux_radius: float
    zphot: float
    sersic_n: float
    axis_ratio: float


class Population:
    """Draws galaxies.

    Parameters:
        settings:       A `PopulationSettings`.
        pixel_scale:    Of the recipe [arcsec].
        locate:         A function that finds a path of the recipe.
        where:          The recipe, for errors.

    Raises a `galsim.GalSimConfigError` where a catalogue cannot be read, lacks a column, or all of
    them together lack what is needed.
    """

    def __init__(self, settings, pixel_scale, locate, where):
        self.settings = settings
        self._where = where
        rows = [_rows(catalog, pixel_scale, locate(catalog.file_name), where)
                for catalog in settings.catalogs]
        rows = np.concatenate(rows) if rows else np.empty((0, len(_QUANTITIES)))
        mag, size, redshift, _, n, q = rows.T
        joint = np.isfinite(mag + size + redshift)
        known = np.isfinite(mag + n + q) & (np.isfinite(size) | np.isfinite(rows[:, 3]))
        if joint.sum() < 8 or known.sum() < 8:
            raise GalSimConfigError(
                f"The {where}: the catalogues of the population hold {joint.sum()} galaxies with "
                f"magnitude, flux_radius and redshift, and {known.sum()} with magnitude, size, "
                "Sersic index and axis ratio; 8 of each are needed.")
        self._joint = _Joint(mag[joint], np.log(size[joint]), np.log(redshift[joint] + 0.1))
        size = np.where(np.isfinite(size), size, np.hypot(rows[:, 3], PSF_RADIUS))
        self._analogues = _Analogues(
            self._joint, mag[known], np.log(size[known]), np.log(redshift[known] + 0.1),
            np.log(n[known]), q[known])
        self._edges, self._cumulative = self._number_counts(locate)

    def _number_counts(self, locate):
        """Edges of magnitude bins, shape [n+1], and the cumulative share of galaxies there."""
        settings, counts = self.settings, self.settings.counts
        low, high = settings.magnitudes
        edges = np.linspace(low, high, max(2, int(np.ceil((high - low) / 0.1)) + 1))
        middle = 0.5 * (edges[1:] + edges[:-1])
        number = np.exp(counts.slope * (middle - high))
        if counts.file_name is not None:
            known = _column(_table(locate(counts.file_name), self._where), counts.magnitude,
                            counts.file_name, self._where)
            known = known[np.isfinite(known)]
            faintest = known.max()
            covered = edges[1:] <= faintest
            if covered.sum() >= 5:
                # Beyond, the slope goes on from the last half magnitude.
                binned = np.histogram(known, edges)[0].astype(float)
                last = np.flatnonzero(covered)[-5:]
                number *= binned[last].sum() / number[last].sum()
                number[covered] = binned[covered]
        return edges, np.concatenate([[0.0], np.cumsum(number)]) / number.sum()

    def draw(self, rng):
        """One galaxy, a `Drawn`; ``rng`` is a numpy Generator."""
        settings = self.settings
        flat = rng.random() < settings.flat_share
        u = rng.random()
        magnitude = (settings.magnitudes[0] + u * np.ptp(settings.magnitudes) if flat
                     else np.interp(u, self._cumulative, self._edges))
        for _ in range(10_000):
            log_size, log_z = self._joint.draw(magnitude, rng)
            size, redshift = float(np.exp(log_size)), float(np.exp(log_z) - 0.1)
            if (settings.flux_radius[0] <= size <= settings.flux_radius[1]
                    and settings.redshift[0] <= redshift <= settings.redshift[1]):
                n, q = self._analogues.draw(magnitude, log_size, log_z, rng)
                return Drawn(float(magnitude), size, redshift, n, q)
        raise GalSimConfigError(
            f"The {self._where}: no galaxy of magnitude {magnitude:.2f} has a size in "
            f"{settings.flux_radius} and a redshift in {settings.redshift}. Correct the ranges of "
            "the population or its catalogues.")


class _Joint:
    """Size and redshift given magnitude."""

    def __init__(self, magnitude, log_size, log_z):
        self._magnitude = magnitude
        self._trends = [np.polyfit(magnitude, values, 1) for values in (log_size, log_z)]
        self._left = np.stack(self.about_trend(magnitude, log_size, log_z), axis=-1)
        self._cloud = CLOUD * np.linalg.cholesky(
            np.cov(self._left.T) + 1e-12 * np.eye(2))
        self.magnitudes = magnitude.min(), magnitude.max()

    def about_trend(self, magnitude, log_size, log_z):
        """Size and redshift relative to what is usual at that magnitude."""
        return tuple(values - np.polyval(trend, magnitude) for values, trend in
                     zip((log_size, log_z), self._trends, strict=True))

    def draw(self, magnitude, rng):
        distance = (self._magnitude - np.clip(magnitude, *self.magnitudes)) / WIDTH
        row = _pick(-0.5 * distance**2, rng)
        # Shrunk towards the trend first, so that the cloud does not add to the scatter.
        left = (np.sqrt(1 - CLOUD**2) * self._left[row] + self._cloud @ rng.standard_normal(2))
        return [value + np.polyval(trend, magnitude) for value, trend in
                zip(left, self._trends, strict=True)]


class _Analogues:
    """Sersic index and axis ratio given magnitude, size and redshift."""

    def __init__(self, joint, magnitude, log_size, log_z, log_n, q):
        self._joint = joint
        self._magnitude = magnitude
        self._size, self._z = joint.about_trend(magnitude, log_size, log_z)
        self._log_n, self._q = log_n, q
        self._limits = magnitude.min(), magnitude.max()

    def draw(self, magnitude, log_size, log_z, rng):
        size, z = self._joint.about_trend(magnitude, log_size, log_z)
        widths = ALIKE
        in_magnitude = (self._magnitude - np.clip(magnitude, *self._limits)) / widths[0]
        in_z = (self._z - z) / widths[2]
        # A row without a redshift is neither near nor far.
        in_z = np.where(np.isfinite(in_z), in_z, 1.0)
        row = _pick(-0.5 * (in_magnitude**2 + ((self._size - size) / widths[1])**2 + in_z**2), rng)
        n = np.exp(self._log_n[row] + 0.1 * rng.standard_normal())
        q = self._q[row] + 0.04 * rng.standard_normal()
        return float(n), float(np.clip(q, 0.1, 1.0))


def _pick(log_weights, rng):
    weights = np.exp(log_weights - log_weights.max())
    return int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right")
               .clip(0, len(weights) - 1))


# ---- catalogues ------------------------------------------------------------------------------

_QUANTITIES = ("magnitude", "flux_radius", "zphot", "half_light_radius", "sersic_n", "axis_ratio")


def _rows(catalog, pixel_scale, path, where):
    """The galaxies of a catalogue, shape [n, 6] as `_QUANTITIES`, NaN for what is not known."""
    table = _table(path, where)
    rows = np.full((len(table), len(_QUANTITIES)), np.nan)
    for i, quantity in enumerate(_QUANTITIES):
        name = getattr(catalog, quantity)
        if name is not None:
            rows[:, i] = _column(table, name, path, where)
    rows[:, 3] /= pixel_scale
    if catalog.axis_ratio is None and catalog.ellipticity is not None:
        g = np.abs(_column(table, catalog.ellipticity, path, where))
        rows[:, 5] = (1 - g) / (1 + g)
    # Marks of failure are often negative numbers.
    for i in (1, 3, 4, 5):
        rows[~(rows[:, i] > 0), i] = np.nan
    rows[~(rows[:, 2] >= 0), 2] = np.nan
    return rows


def _table(path, where):
    path = Path(path)
    try:
        if path.suffix == ".fits" and path.with_name(f"{path.stem}_fits.fits").is_file():
            return RealCatalog(path)
        return Table.read(path, format="ascii.csv" if path.suffix == ".csv" else None)
    except (OSError, ValueError, GalSimError) as err:
        raise GalSimConfigError(f"The {where}: the catalogue {path} cannot be read: {err}") from err


def _column(table, name, path, where):
    try:
        column = table.column(name) if isinstance(table, RealCatalog) else table[name]
        return np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    except (KeyError, GalSimConfigError) as err:
        raise GalSimConfigError(
            f"The {where}: the catalogue {path} has no column '{name}'. {err}") from err
    except ValueError as err:
        raise GalSimConfigError(
            f"The {where}: the column '{name}' of {path} does not hold numbers: {err}") from err
