"""The joint distribution of magnitude, size, redshift and morphology of galaxies.

Galaxies are drawn from catalogues of real ones, row by row, so that correlations between these
quantities are kept without a parametric model.

The magnitude follows the number counts.  Size and redshift are those of one row of similar
magnitude, relative to the trends with magnitude; Sersic index n and axis ratio q are those of one
row that is similar in magnitude, size and redshift, since few catalogues have all five.  A row is
one of the nearest few, and is changed by little (`SMOOTHING`), so that trends and scatter are those
of the catalogues.

Beyond the magnitudes of the catalogues, sizes and redshifts follow the extrapolated trend with the
scatter of the brightest or faintest galaxies, and n and q are those of the brightest or faintest
galaxies with a similar size and redshift relative to the trend.
"""

__all__ = ["Drawn", "Population"]

import dataclasses
import os
from collections.abc import Callable

import numpy as np
from galsim import GalSimConfigError

from . import tables
from .neighbours import Neighbours, Trend
from .settings import PopulationSettings

KERNEL = (0.3, 0.15, 0.15)
"""Standard deviations in magnitude, ln(size) and ln(z + 0.1) of the weight of similar rows."""
NEAREST = (200, 60, 30)
"""Number of nearest rows that one is drawn from: in magnitude; in magnitude and size; in all three.
"""
SMOOTHING = dict(size=0.05, redshift=0.03, n=0.06, q=0.02)
"""Standard deviations of the changes of a row, in ln(size), ln(z + 0.1), ln n and q: a tenth of the
scatter at a given magnitude."""
N_LIMITS = (0.3, 6.2)
"""Sersic indices that GalSim can draw."""
Q_LIMITS = (0.05, 1.0)
SEEN = 5
"""A point is seen if so many rows are as near as `SEEN_WITHIN`."""
SEEN_WITHIN = 2.0
"""In units of `KERNEL`."""
EVEN_ROWS = 200
"""Number of rows of similar magnitude whose range the evenly spread galaxies have."""
EVEN_RANGE = (0.01, 0.99)
"""Quantiles that limit this range."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The properties of a drawn galaxy.

    Attributes:
        magnitude:      Total magnitude.
        half_light_radius: Before the PSF, circularised [arcsec].
        redshift:       Redshift.
        sersic_n:       Sersic index.
        axis_ratio:     Minor over major axis.

    Example::

        >>> galaxy = Drawn(22.5, half_light_radius=0.4, redshift=0.7, sersic_n=1.2, axis_ratio=0.6)
        >>> galaxy.axis_ratio
        0.6
    """

    magnitude: float
    half_light_radius: float
    redshift: float
    sersic_n: float
    axis_ratio: float


class Population:
    """Draws the properties of galaxies.

    Parameters:
        settings:       The ranges, counts and catalogues.
        locate:         A function that makes a path of the recipe absolute.
        where:          The name of the recipe, for errors.

    Attributes:
        settings:       As given.
        magnitudes_seen: {``"size"`` or ``"shape"``: (brightest, faintest)} of the catalogues from
                        which sizes and redshifts, and Sersic indices and axis ratios, are drawn.

    Raises:
        galsim.GalSimConfigError: if a catalogue cannot be read or lacks a column, or the catalogues
            together have too few galaxies.

    Example::

        >>> import tempfile
        >>> from astropy.table import Table
        >>> from galsim_deep_training.data.population import Catalogue, Counts
        >>> x = np.linspace(0, 1, 20)
        >>> table = Table(dict(magnitude=20 + 4 * x, half_light_radius=0.5 - 0.2 * x,
        ...                    redshift=0.5 + x, sersic_n=1 + x**2, axis_ratio=0.9 - x**3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table.write(f"{folder}/cosmos.csv")
        ...     settings = PopulationSettings(
        ...         magnitudes=(20, 24), counts=Counts(slope=0.35), half_light_radius=(0.1, 1),
        ...         redshift=(0, 5), catalogs=[Catalogue(file_name=f"{folder}/cosmos.csv")])
        ...     population = Population(settings, locate=str, where="recipe my.yaml")
        >>> galaxy = population.draw(np.random.default_rng(1))
        >>> 20 <= galaxy.magnitude <= 24, 0.1 <= galaxy.half_light_radius <= 1
        (True, True)
        >>> population.seen([22.0, 28.0], [0.4, 0.1], [1.0, 1.5])
        array([ True, False])
    """

    def __init__(self, settings: PopulationSettings,
                 locate: Callable[[str], str | os.PathLike], where: str) -> None:
        self.settings = settings
        self._where = where
        rows = np.concatenate([np.empty((0, len(tables.QUANTITIES)))] + [
            tables.read_rows(catalogue, locate, where) for catalogue in settings.catalogs])
        mag, size, redshift, n, q = rows.T
        joint, has_shape = np.isfinite(size + redshift), np.isfinite(size + n + q)
        if joint.sum() < 8 or has_shape.sum() < 8:
            raise GalSimConfigError(
                f"The {where}: the catalogues of the population hold {joint.sum()} galaxies with "
                f"magnitude, half-light radius and redshift, and {has_shape.sum()} with magnitude, "
                "half-light radius, Sersic index and axis ratio; 8 of each are needed.")
        self.magnitudes_seen = {
            "size": (float(mag[joint].min()), float(mag[joint].max())),
            "shape": (float(mag[has_shape].min()), float(mag[has_shape].max()))}

        log_size, log_z = np.log(size), np.log(redshift + 0.1)
        self._trends = [Trend(mag[joint], values[joint]) for values in (log_size, log_z)]
        self._residuals = self._relative(mag[joint], log_size[joint], log_z[joint])
        order = np.argsort(mag[joint])
        self._by_magnitude = mag[joint][order], self._residuals[order]
        self._of_magnitude = Neighbours(mag[joint, None] / KERNEL[0], NEAREST[0])
        self._of_size = Neighbours(np.stack(
            [mag[joint], self._residuals[:, 0]], axis=-1) / KERNEL[:2], NEAREST[1])
        self._rows = Neighbours(np.stack(
            [mag[joint], log_size[joint], log_z[joint]], axis=-1) / KERNEL,
            NEAREST[2])

        self._n, self._q = n[has_shape], q[has_shape]
        self._typical_size = Trend(mag[has_shape], log_size[has_shape])
        relative = self._relative_of_shape(
            mag[has_shape], log_size[has_shape], log_z[has_shape])
        self._fill_redshifts(mag[has_shape], relative)
        self._shapes = Neighbours(
            np.concatenate([mag[has_shape, None], relative], axis=-1) / KERNEL, NEAREST[2])
        self._edges, self._cumulative = self._number_counts(locate)

    def _relative(self, magnitude: np.ndarray, log_size: np.ndarray, log_z: np.ndarray
                  ) -> np.ndarray:
        """Size and redshift relative to the trends with magnitude, shape [..., 2]."""
        return np.stack([values - trend(magnitude) for values, trend in
                         zip((log_size, log_z), self._trends, strict=True)], axis=-1)

    def _relative_of_shape(self, magnitude: np.ndarray, log_size: np.ndarray, log_z: np.ndarray
                           ) -> np.ndarray:
        """As `_relative`, but with the trend of the sizes of galaxies with known shapes.

        The catalogues measure sizes differently; what a shape is correlated with is the size
        relative to the others of its catalogue.  Beyond them, both trends have the same slope.
        """
        clipped = np.clip(magnitude, *self.magnitudes_seen["shape"])
        relative = self._relative(magnitude, log_size, log_z)
        relative[..., 0] += self._trends[0](clipped) - self._typical_size(clipped)
        return relative

    def _fill_redshifts(self, magnitude: np.ndarray, relative: np.ndarray) -> None:
        """Give a row without redshift that of a row of similar magnitude and size."""
        rng = np.random.default_rng(0)
        for row in np.flatnonzero(~np.isfinite(relative[:, 1])):
            relative[row, 1] = self._residuals[
                self._like(magnitude[row], relative[row, 0], rng), 1]

    def _like(self, magnitude: float, relative_size: float, rng: np.random.Generator) -> int:
        """A row of similar magnitude, in the range that was seen, and relative size."""
        clipped = np.clip(magnitude, *self.magnitudes_seen["size"])
        return self._of_size.draw(np.array([clipped, relative_size]) / KERNEL[:2], rng)

    def _number_counts(
            self, locate: Callable[[str], str | os.PathLike]) -> tuple[np.ndarray, np.ndarray]:
        """Edges of magnitude bins, shape [n+1], and the fraction of galaxies brighter than each."""
        settings, counts = self.settings, self.settings.counts
        low, high = settings.magnitudes
        edges = np.linspace(low, high, max(2, int(np.ceil((high - low) / 0.1)) + 1))
        centres = 0.5 * (edges[1:] + edges[:-1])
        expected = np.exp(counts.slope * (centres - high))
        if counts.file_name is not None:
            known = tables.magnitudes(counts, locate, self._where)
            covered = edges[1:] <= known.max()
            if covered.sum() >= 5:
                # The exponential continues the counts of the last half magnitude.
                histogram = np.histogram(known, edges)[0].astype(float)
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
        if rng.random() < settings.even_share:
            magnitude = float(rng.uniform(*settings.magnitudes))
            size, redshift = self._evenly(magnitude, rng)
        else:
            magnitude = float(np.interp(rng.random(), self._cumulative, self._edges))
            size, redshift = self._naturally(magnitude, rng)
        n, q = self.draw_shape(rng, magnitude, size, redshift)
        return Drawn(magnitude, size, redshift, n, q)

    def _naturally(self, magnitude: float, rng: np.random.Generator) -> tuple[float, float]:
        """Half-light radius and redshift of a galaxy."""
        clipped = np.clip(magnitude, *self.magnitudes_seen["size"])
        centre = [float(trend(magnitude)) for trend in self._trends]
        for _ in range(10_000):
            row = self._of_magnitude.draw(np.array([clipped]) / KERNEL[0], rng)
            change = rng.standard_normal(2) * (SMOOTHING["size"], SMOOTHING["redshift"])
            log_size, log_z = centre + self._residuals[row] + change
            size, redshift = float(np.exp(log_size)), float(np.exp(log_z) - 0.1)
            if self._in_range(size, redshift):
                return size, redshift
        raise GalSimConfigError(
            f"The {self._where}: no galaxy of magnitude {magnitude:.2f} has a half-light radius in "
            f"{self.settings.half_light_radius} and a redshift in {self.settings.redshift}. "
            "Correct the ranges of the population or its catalogues.")

    def _evenly(self, magnitude: float, rng: np.random.Generator) -> tuple[float, float]:
        """Half-light radius and redshift, uniform between those of such galaxies."""
        clipped = np.clip(magnitude, *self.magnitudes_seen["size"])
        magnitudes, residuals = self._by_magnitude
        first = max(0, min(int(np.searchsorted(magnitudes, clipped)) - EVEN_ROWS // 2,
                           len(magnitudes) - EVEN_ROWS))
        ranges = np.quantile(residuals[first:first + EVEN_ROWS], EVEN_RANGE, axis=0).T
        limits = np.log(np.array(
            [self.settings.half_light_radius, np.add(self.settings.redshift, 0.1)]))
        drawn = [
            rng.uniform(*np.clip(float(trend(magnitude)) + ends, *allowed)) for trend, ends, allowed
            in zip(self._trends, ranges, limits, strict=True)]
        return float(np.exp(drawn[0])), float(max(np.exp(drawn[1]) - 0.1, 0.0))

    def _in_range(self, size: float, redshift: float) -> bool:
        (smallest, largest), (nearest, farthest) = (
            self.settings.half_light_radius, self.settings.redshift)
        return smallest <= size <= largest and nearest <= redshift <= farthest

    def draw_shape(self, rng: np.random.Generator, magnitude: float, half_light_radius: float,
                   redshift: float) -> tuple[float, float]:
        """Draw the shape of a galaxy.

        Parameters:
            rng:        The random numbers.
            magnitude:  Total magnitude.
            half_light_radius: Before the PSF, circularised [arcsec].
            redshift:   Redshift.

        Returns:
            Sersic index and axis ratio.
        """
        relative = self._relative_of_shape(
            np.asarray(magnitude), np.log(half_light_radius), np.log(redshift + 0.1))
        clipped = np.clip(magnitude, *self.magnitudes_seen["shape"])
        row = self._shapes.draw(np.concatenate([[clipped], relative]) / KERNEL, rng)
        n = self._n[row] * np.exp(SMOOTHING["n"] * rng.standard_normal())
        q = self._q[row] + SMOOTHING["q"] * rng.standard_normal()
        # Reflected at 1, so that round galaxies do not pile up there.
        return (float(np.clip(n, *N_LIMITS)), float(np.clip(1 - abs(1 - q), *Q_LIMITS)))

    def draw_redshift(self, rng: np.random.Generator, magnitude: float, half_light_radius: float
                      ) -> float:
        """Draw a redshift for a galaxy of given magnitude and half-light radius [arcsec], within
        the range of the settings."""
        relative_size = np.log(half_light_radius) - float(self._trends[0](magnitude))
        row = self._like(magnitude, relative_size, rng)
        log_z = (float(self._trends[1](magnitude)) + self._residuals[row, 1]
                 + SMOOTHING["redshift"] * rng.standard_normal())
        return float(np.clip(np.exp(log_z) - 0.1, *self.settings.redshift))

    def seen(self, magnitude: np.ndarray, half_light_radius: np.ndarray, redshift: np.ndarray
             ) -> np.ndarray:
        """Whether catalogues have galaxies like these; all else is extrapolated.

        Parameters:
            magnitude:  Total magnitudes, of any shape.
            half_light_radius: Before the PSF [arcsec], of the same shape.
            redshift:   Redshifts, of the same shape.

        Returns:
            bool, of that shape: whether at least `SEEN` rows with magnitude, size and redshift are
            within `SEEN_WITHIN` of the widths `KERNEL`.
        """
        points = np.stack(np.broadcast_arrays(
            magnitude, np.log(half_light_radius), np.log(np.asarray(redshift) + 0.1)), axis=-1)
        return self._rows.distance(points / KERNEL, SEEN) <= SEEN_WITHIN
