"""Trends with magnitude, and draws of rows from the nearest ones of a catalogue."""

__all__ = ["Neighbours", "Trend"]

import numpy as np
from scipy.spatial import cKDTree

STEP = 0.25
"""Distance between the magnitudes at which a trend is computed."""
WIDTH = 0.4
"""Standard deviation in magnitude of the weight of rows in a trend, at least."""
ROWS = 40
"""Number of rows that the standard deviation reaches at least."""
REACH = 2.5
"""Range of magnitudes at either end whose slope continues a trend beyond the rows."""


class Trend:
    """The mean of a quantity at a given magnitude.

    A straight line is fitted around each magnitude.  Beyond the rows, the trend has the slope of
    the last `REACH` magnitudes.

    Parameters:
        magnitude:  Shape [n].
        values:     Shape [n].

    Example::

        >>> magnitude = np.linspace(20, 24, 100)
        >>> trend = Trend(magnitude, 3 - 0.2 * magnitude)
        >>> trend(np.array([22.0, 27.0])).round(6).tolist()
        [-1.4, -2.4]
    """

    def __init__(self, magnitude: np.ndarray, values: np.ndarray) -> None:
        ordered = np.sort(magnitude)
        # Between the outermost few rows, which say little.
        edge = min(5, len(ordered) // 4)
        low, high = ordered[edge], ordered[-1 - edge]
        self._grid = np.linspace(low, high, max(2, int(np.ceil((high - low) / STEP)) + 1))
        self._values = np.empty(len(self._grid))
        for index, middle in enumerate(self._grid):
            apart = magnitude - middle
            width = max(WIDTH, np.sort(np.abs(apart))[min(ROWS, len(apart)) - 1] / 2)
            weight = np.exp(-0.25 * (apart / width)**2)
            self._values[index] = np.polyfit(apart, values, 1, w=weight)[1]
        few = min(ROWS, len(ordered))
        self._slopes = [
            np.polyfit(magnitude[near], values[near], 1)[0] for near in
            (magnitude <= max(low + REACH, ordered[few - 1]),
             magnitude >= min(high - REACH, ordered[-few]))]

    def __call__(self, magnitude: np.ndarray | float) -> np.ndarray:
        """The trend at magnitudes of any shape."""
        magnitude = np.asarray(magnitude, float)
        bright, faint = self._slopes
        return (np.interp(magnitude, self._grid, self._values)
                + bright * np.minimum(magnitude - self._grid[0], 0)
                + faint * np.maximum(magnitude - self._grid[-1], 0))


class Neighbours:
    """Draws rows near a point.

    The weight of a row is a Gaussian in the distance, whose width is 1 or, where rows are few, the
    distance within which an eighth of the nearest ones lies.

    Parameters:
        points:     Shape [n, d], in units of the width of the Gaussian.
        number:     Number of nearest rows that one is drawn from.

    Example::

        >>> neighbours = Neighbours(np.linspace(0, 100, 1001)[:, None], number=24)
        >>> row = neighbours.draw(np.array([40.0]), np.random.default_rng(1))
        >>> abs(row - 400) < 13
        True
    """

    def __init__(self, points: np.ndarray, number: int) -> None:
        self._tree = cKDTree(points)
        self._number = min(number, len(points))

    def draw(self, point: np.ndarray, rng: np.random.Generator) -> int:
        """The index of a row.

        Parameters:
            point:      Shape [d].
            rng:        The random numbers.
        """
        distance, row = self._tree.query(point, self._number)
        distance, row = np.atleast_1d(distance), np.atleast_1d(row)
        width = max(1.0, distance[self._number // 8])
        weight = np.exp(-0.5 * (distance**2 - distance[0]**2) / width**2)
        total = np.cumsum(weight)
        return int(row[np.searchsorted(total, rng.random() * total[-1], side="right").clip(
            0, self._number - 1)])

    def distance(self, points: np.ndarray, number: int) -> np.ndarray:
        """Distance of the ``number``-th nearest row, of points [..., d]."""
        return self._tree.query(points, [min(number, self._tree.n)])[0][..., 0]
