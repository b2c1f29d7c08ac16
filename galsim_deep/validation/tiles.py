"""Stamps side by side, as one picture."""

__all__ = ["GAP", "Stretch", "mosaic", "resized"]

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .figures import MAP, new_figure

if TYPE_CHECKING:
    import matplotlib.figure

GAP = 3
"""White pixels between two stamps."""


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Maps pixel values to colours, for stamps that are shown beside a real one.

    Attributes:
        sigma:  Standard deviation of the noise.
        peak:   The value that is shown brightest, in the same unit.

    Example:

        >>> stretch = Stretch.of(np.array([[0.0, 40.0]]), sigma=2.0)
        >>> stretch.peak, stretch.image([[0.0, 40.0]]).shape
        (40.0, (1, 2, 4))
    """

    sigma: float
    peak: float

    @classmethod
    def of(cls, stamp: np.ndarray, sigma: float) -> "Stretch":
        """The stretch for a real stamp.

        Parameters:
            stamp:      Shape [S, S].
            sigma:      Standard deviation of its noise; NaN if it is not known.
        """
        finite = stamp[np.isfinite(stamp)]
        sigma = sigma if sigma > 0 else float(finite.std()) or 1.0
        return cls(sigma, max(float(finite.max()), 10 * sigma))

    def image(self, stamp: ArrayLike) -> np.ndarray:
        """The colours of a stamp [S, S] on an arcsinh scale: RGBA, [S, S, 4], 0 to 1."""
        from matplotlib import colormaps

        shown = np.arcsinh(np.asarray(stamp, float) / (2 * self.sigma)) / np.arcsinh(
            self.peak / (2 * self.sigma))
        return colormaps[MAP](np.clip((shown + 0.1) / 1.1, 0, 1))

    def residual(self, stamp: ArrayLike) -> np.ndarray:
        """The colours of a residual [S, S] from -6 to 6 times the noise: RGBA, [S, S, 4]."""
        from matplotlib import colormaps

        return colormaps["RdBu_r"](np.clip(np.asarray(stamp) / (12 * self.sigma) + 0.5, 0, 1))


def resized(tile: np.ndarray, size: int) -> np.ndarray:
    """Colours of a stamp on another number of pixels, each that of the nearest pixel.

    Parameters:
        tile:   Shape [S, S, 4].
        size:   Pixels on a side of the result.

    Example:

        >>> resized(np.arange(4.0).reshape(2, 2, 1), 4)[0, :, 0]
        array([0., 0., 1., 1.])
    """
    index = (np.arange(size) * len(tile)) // size
    return tile[index][:, index]


def mosaic(tiles: Sequence[Sequence[np.ndarray]], labels: Sequence[str]
           ) -> "matplotlib.figure.Figure":
    """A figure of stamps in a grid.

    Parameters:
        tiles:      Rows of colours [S, S, 4], as `Stretch` makes them; all rows have the same
                    length.  Stamps of different sizes are shown equally large.
        labels:     A label for each row.

    Returns:
        a matplotlib figure; a unit of its axes is a pixel.
    """
    largest = max(len(tile) for row in tiles for tile in row)
    tiles = [[resized(tile, largest) for tile in row] for row in tiles]
    size = largest + GAP
    picture = np.ones((size * len(tiles) - GAP, size * len(tiles[0]) - GAP, 3))
    for j, row in enumerate(tiles):
        for i, tile in enumerate(row):
            x, y = size * i, size * j
            # The first row of a stamp is at the bottom.
            picture[y:y + size - GAP, x:x + size - GAP] = tile[::-1, :, :3]
    figure = new_figure(1.25 * len(tiles[0]) + 0.9, 1.3 * len(tiles))
    axis = figure.subplots()
    axis.imshow(picture, interpolation="nearest")
    axis.set_yticks(size * (np.arange(len(tiles)) + 0.5), labels, fontsize=9)
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.set_frame_on(False)
    return figure
