"""The joint distribution of magnitude, size, redshift and morphology of a survey's galaxies.

Galaxies are drawn from catalogues of real ones, row by row, so that correlations between these
quantities are kept without a parametric model.  A few hundred rows are too few to draw them
unchanged.  A row is therefore also used for galaxies of similar magnitude, after the trend with
magnitude is subtracted, and is smoothed with a Gaussian kernel.

A drawn galaxy has a magnitude, an observed half-light radius, a redshift, a Sersic index n and an
axis ratio q.  The first three come from one row, n and q from another row that is similar in these
three, since few catalogues have all five.  Beyond the magnitudes of the catalogues, their brightest
or faintest galaxies are used.
"""

__all__ = ["Catalogue", "Counts", "Drawn", "Population", "PopulationSettings"]

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pydantic
from astropy.table import Table
from galsim import GalSimConfigError, GalSimError

from galsim_deep.observations.real_catalog import RealCatalog

from ..settings import Magnitudes, Radii, Redshifts, Settings, Share, Text, Within, validation_error

WIDTH = 0.4
"""Standard deviation of the Gaussian weight of rows in magnitude."""
SMOOTHING = 0.25
"""Standard deviation of the kernel that smooths a row, in units of the scatter of all rows about
their trend."""
SIMILAR = (0.6, 0.25, 0.35)
"""Standard deviations in magnitude, ln(size) and ln(z + 0.1), the last two about their trends, of
the Gaussian weight of rows from which Sersic index and axis ratio are taken."""
PSF_RADIUS = 2.5
"""Half-light radius of the survey's PSF [pixels], added in quadrature to sizes before the PSF to
compare them with observed ones.  An approximate value suffices, since these sizes are used only to
select similar rows."""


class Catalogue(Settings):
    """A catalogue of real galaxies, and the names of its columns.

    Example::

        >>> catalogue = Catalogue(file_name="cosmos.csv", magnitude="mag_auto", redshift="z")
        >>> catalogue.redshift, catalogue.sersic_n
        ('z', None)
    """

    file_name: Text
    """A table that astropy reads (``.csv``, ``.fits``), or the main file of a RealGalaxyCatalog
    with its catalogue of fits beside it."""
    magnitude: Text
    observed_radius: Text | None = None
    """Half-light radius as observed, with the PSF [pixels of the recipe]."""
    half_light_radius: Text | None = None
    """Half-light radius before the PSF [arcsec], if there is no ``observed_radius``.  Such rows
    are used for the morphology only."""
    redshift: Text | None = None
    sersic_n: Text | None = None
    axis_ratio: Text | None = None
    ellipticity: Text | None = None
    """|g| = (1 - q) / (1 + q), if there is no ``axis_ratio``."""


class Counts(Settings):
    """Number counts: those of a catalogue, and an exponential beyond its faintest magnitude.

    Example::

        >>> Counts(slope=0.69, file_name="cosmos.csv", magnitude="mag_auto").magnitude
        'mag_auto'
    """

    slope: Annotated[float, Within(-10, 10)]
    """d ln N / d mag of the exponential."""
    file_name: Text | None = None
    """A catalogue that is complete to its faintest magnitude.
    [default: the exponential at all magnitudes]"""
    magnitude: Text | None = None
    """The column of that catalogue with the magnitudes."""

    @pydantic.model_validator(mode="after")
    def _names_the_column(self) -> Self:
        if self.file_name is not None and self.magnitude is None:
            raise validation_error(
                ("magnitude",),
                f"should name the column of magnitudes in the catalogue {self.file_name}", None)
        return self


class PopulationSettings(Settings):
    """The population that galaxies are drawn from.

    Example::

        >>> settings = PopulationSettings(
        ...     magnitudes=(20, 24), counts=dict(slope=0.35), observed_radius=(3, 6),
        ...     redshift=(0, 5),
        ...     catalogs=[dict(file_name="cosmos.csv", magnitude="mag_auto", redshift="z")])
        >>> settings.flat_share, settings.catalogs[0].redshift
        (0.0, 'z')
    """

    magnitudes: Magnitudes
    """Range of magnitudes, bright and faint."""
    counts: Counts
    flat_share: Share = 0.0
    """Fraction of the examples whose magnitude is uniform in the range instead of following the
    counts."""
    observed_radius: Radii
    """Range of observed half-light radii [pixels]."""
    redshift: Redshifts
    """Range of redshifts."""
    catalogs: tuple[Catalogue, ...]
    """Catalogues with magnitude, size and redshift; some also with Sersic index and axis ratio."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The properties of a drawn galaxy.

    Attributes:
        magnitude:      Total magnitude.
        observed_radius: Half-light radius as observed [pixels].
        redshift:       Redshift.
        sersic_n:       Sersic index.
        axis_ratio:     Minor over major axis.

    Example::

        >>> galaxy = Drawn(22.5, observed_radius=5.0, redshift=0.7, sersic_n=1.2, axis_ratio=0.6)
        >>> galaxy.axis_ratio
        0.6
    """

    magnitude: float
    observed_radius: float
    redshift: float
    sersic_n: float
    axis_ratio: float


class Population:
    """Draws the properties of galaxies.

    Parameters:
        settings:       The ranges, counts and catalogues.
        pixel_scale:    Size of a pixel of the recipe [arcsec].
        locate:         A function that makes a path of the recipe absolute.
        where:          The name of the recipe, for errors.

    Raises:
        galsim.GalSimConfigError: if a catalogue cannot be read or lacks a column, or the catalogues
            together have too few galaxies.

    Example::

        >>> import tempfile
        >>> x = np.linspace(0, 1, 20)
        >>> table = Table(dict(mag=20 + 4 * x, r=5 - x, z=0.5 + x, n=1 + x**2, q=0.9 - x**3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table.write(f"{folder}/cosmos.csv")
        ...     catalogue = Catalogue(
        ...         file_name=f"{folder}/cosmos.csv", magnitude="mag", observed_radius="r",
        ...         redshift="z", sersic_n="n", axis_ratio="q")
        ...     settings = PopulationSettings(
        ...         magnitudes=(20, 24), counts=Counts(slope=0.35), observed_radius=(3, 6),
        ...         redshift=(0, 5), catalogs=[catalogue])
        ...     population = Population(settings, 0.03, locate=str, where="recipe my.yaml")
        >>> galaxy = population.draw(np.random.default_rng(1))
        >>> 20 <= galaxy.magnitude <= 24, 3 <= galaxy.observed_radius <= 6
        (True, True)
    """

    def __init__(self, settings: PopulationSettings, pixel_scale: float,
                 locate: Callable[[str], str | os.PathLike], where: str) -> None:
        self.settings = settings
        self._where = where
        tables = [_rows(catalog, pixel_scale, Path(locate(catalog.file_name)), where)
                  for catalog in settings.catalogs]
        rows = np.concatenate(tables) if tables else np.empty((0, len(_QUANTITIES)))
        mag, size, redshift, intrinsic, n, q = rows.T
        joint = np.isfinite(mag + size + redshift)
        has_shape = np.isfinite(mag + n + q) & (np.isfinite(size) | np.isfinite(intrinsic))
        if joint.sum() < 8 or has_shape.sum() < 8:
            raise GalSimConfigError(
                f"The {where}: the catalogues of the population hold {joint.sum()} galaxies with "
                f"magnitude, observed radius and redshift, and {has_shape.sum()} with magnitude, "
                "Sersic index and axis ratio; 8 of each are needed.")
        self._joint = _SizeAndRedshift(
            mag[joint], np.log(size[joint]), np.log(redshift[joint] + 0.1))
        size = np.where(np.isfinite(size), size, np.hypot(intrinsic, PSF_RADIUS))
        self._morphology = _Morphology(
            self._joint, mag[has_shape], np.log(size[has_shape]),
            np.log(redshift[has_shape] + 0.1), np.log(n[has_shape]), q[has_shape])
        self._edges, self._cumulative = self._number_counts(locate)

    def _number_counts(
            self, locate: Callable[[str], str | os.PathLike]) -> tuple[np.ndarray, np.ndarray]:
        """Edges of magnitude bins, shape [n+1], and the fraction of galaxies brighter than each."""
        settings, counts = self.settings, self.settings.counts
        low, high = settings.magnitudes
        edges = np.linspace(low, high, max(2, int(np.ceil((high - low) / 0.1)) + 1))
        centres = 0.5 * (edges[1:] + edges[:-1])
        expected = np.exp(counts.slope * (centres - high))
        if counts.file_name is not None:
            assert counts.magnitude is not None
            magnitudes = _column(_table(locate(counts.file_name), self._where), counts.magnitude,
                                 counts.file_name, self._where)
            magnitudes = magnitudes[np.isfinite(magnitudes)]
            faintest = magnitudes.max()
            covered = edges[1:] <= faintest
            if covered.sum() >= 5:
                # The exponential continues the counts of the last half magnitude.
                histogram = np.histogram(magnitudes, edges)[0].astype(float)
                last = np.flatnonzero(covered)[-5:]
                expected *= histogram[last].sum() / expected[last].sum()
                expected[covered] = histogram[covered]
        return edges, np.concatenate([[0.0], np.cumsum(expected)]) / expected.sum()

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draw one galaxy.

        Raises:
            galsim.GalSimConfigError: if no galaxy of the drawn magnitude lies in the ranges.
        """
        settings = self.settings
        flat = rng.random() < settings.flat_share
        u = rng.random()
        magnitude = float(settings.magnitudes[0] + u * np.ptp(settings.magnitudes) if flat
                          else np.interp(u, self._cumulative, self._edges))
        for _ in range(10_000):
            log_size, log_z = self._joint.draw(magnitude, rng)
            size, redshift = float(np.exp(log_size)), float(np.exp(log_z) - 0.1)
            if (settings.observed_radius[0] <= size <= settings.observed_radius[1]
                    and settings.redshift[0] <= redshift <= settings.redshift[1]):
                n, q = self._morphology.draw(magnitude, log_size, log_z, rng)
                return Drawn(magnitude, size, redshift, n, q)
        raise GalSimConfigError(
            f"The {self._where}: no galaxy of magnitude {magnitude:.2f} has a size in "
            f"{settings.observed_radius} and a redshift in {settings.redshift}. Correct the ranges "
            "of the population or its catalogues.")


class _SizeAndRedshift:
    """Draws ln(size [pixels]) and ln(z + 0.1) given the magnitude."""

    def __init__(self, magnitude: np.ndarray, log_size: np.ndarray, log_z: np.ndarray) -> None:
        self._magnitude = magnitude
        self._trends = [np.polyfit(magnitude, values, 1) for values in (log_size, log_z)]
        self._residuals = np.stack(self.residuals(magnitude, log_size, log_z), axis=-1)
        self._kernel = SMOOTHING * np.linalg.cholesky(
            np.cov(self._residuals.T) + 1e-12 * np.eye(2))
        self._limits = magnitude.min(), magnitude.max()

    def residuals(self, magnitude, log_size, log_z):
        """Size and redshift relative to the trends with magnitude."""
        return tuple(values - np.polyval(trend, magnitude) for values, trend in
                     zip((log_size, log_z), self._trends, strict=True))

    def draw(self, magnitude: float, rng: np.random.Generator) -> list[float]:
        distance = (self._magnitude - np.clip(magnitude, *self._limits)) / WIDTH
        row = _pick(-0.5 * distance**2, rng)
        # Shrunk towards the trend, so that the kernel does not increase the scatter.
        residuals = (np.sqrt(1 - SMOOTHING**2) * self._residuals[row]
                     + self._kernel @ rng.standard_normal(2))
        return [residual + np.polyval(trend, magnitude) for residual, trend in
                zip(residuals, self._trends, strict=True)]


class _Morphology:
    """Draws Sersic index and axis ratio given magnitude, size and redshift."""

    def __init__(self, joint: _SizeAndRedshift, magnitude: np.ndarray, log_size: np.ndarray,
                 log_z: np.ndarray, log_n: np.ndarray, q: np.ndarray) -> None:
        self._joint = joint
        self._magnitude = magnitude
        self._size, self._z = joint.residuals(magnitude, log_size, log_z)
        self._log_n, self._q = log_n, q
        self._limits = magnitude.min(), magnitude.max()

    def draw(self, magnitude: float, log_size: float, log_z: float,
             rng: np.random.Generator) -> tuple[float, float]:
        size, z = self._joint.residuals(magnitude, log_size, log_z)
        widths = SIMILAR
        in_magnitude = (self._magnitude - np.clip(magnitude, *self._limits)) / widths[0]
        in_z = (self._z - z) / widths[2]
        # A row without a redshift gets the weight of one standard deviation.
        in_z = np.where(np.isfinite(in_z), in_z, 1.0)
        row = _pick(-0.5 * (in_magnitude**2 + ((self._size - size) / widths[1])**2 + in_z**2), rng)
        n = np.exp(self._log_n[row] + 0.1 * rng.standard_normal())
        q = self._q[row] + 0.04 * rng.standard_normal()
        return float(n), float(np.clip(q, 0.1, 1.0))


def _pick(log_weights: np.ndarray, rng: np.random.Generator) -> int:
    """Draw a row with a probability proportional to its weight."""
    weights = np.exp(log_weights - log_weights.max())
    return int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right")
               .clip(0, len(weights) - 1))


# ---- catalogues ------------------------------------------------------------------------------

_QUANTITIES = ("magnitude", "observed_radius", "redshift", "half_light_radius", "sersic_n",
               "axis_ratio")


def _rows(catalog: Catalogue, pixel_scale: float, path: Path, where: str) -> np.ndarray:
    """The galaxies of a catalogue, float64 [n, 6]: `_QUANTITIES`, NaN if a value is not known.

    Half-light radii before the PSF are converted to pixels.
    """
    table = _table(path, where)
    rows = np.full((len(table), len(_QUANTITIES)), np.nan)
    for index, quantity in enumerate(_QUANTITIES):
        name = getattr(catalog, quantity)
        if name is not None:
            rows[:, index] = _column(table, name, path, where)
    rows[:, 3] /= pixel_scale
    if catalog.axis_ratio is None and catalog.ellipticity is not None:
        g = np.abs(_column(table, catalog.ellipticity, path, where))
        rows[:, 5] = (1 - g) / (1 + g)
    # Catalogues often mark failures with negative numbers.
    for index in (1, 3, 4, 5):
        rows[~(rows[:, index] > 0), index] = np.nan
    rows[~(rows[:, 2] >= 0), 2] = np.nan
    return rows


def _table(path: str | os.PathLike, where: str) -> "Table | RealCatalog":
    path = Path(path)
    try:
        if path.suffix == ".fits" and path.with_name(f"{path.stem}_fits.fits").is_file():
            return RealCatalog(path)
        return Table.read(path, format="ascii.csv" if path.suffix == ".csv" else None)
    except (OSError, ValueError, GalSimError) as err:
        raise GalSimConfigError(f"The {where}: the catalogue {path} cannot be read: {err}") from err


def _column(table: "Table | RealCatalog", name: str, path: str | os.PathLike,
            where: str) -> np.ndarray:
    """A column as float64, with NaN for masked values."""
    try:
        column = table.column(name) if isinstance(table, RealCatalog) else table[name]
        return np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    except (KeyError, GalSimConfigError) as err:
        raise GalSimConfigError(
            f"The {where}: the catalogue {path} has no column '{name}'. {err}") from err
    except ValueError as err:
        raise GalSimConfigError(
            f"The {where}: the column '{name}' of {path} does not hold numbers: {err}") from err
