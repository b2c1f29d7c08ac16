"""Stamps of the three samples side by side."""

__all__ = ["Samples", "stamp_grid"]

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures import Figure
from ..galaxy import SAMPLES
from ..tiles import Stretch, mosaic
from .base import Section

if TYPE_CHECKING:
    import matplotlib.figure

    from ..comparison import Comparison

COUNT = 10
"""Galaxies that are shown."""


class Samples(Section):
    """Real, generated and parametric stamps of the same galaxies.

    Figure 1 of Lanusse et al. (2021, arXiv:2008.03833).

    Example, for a ``comparison``:

        >>> figure, = Samples(comparison).figures(results={})
        >>> [label.get_text() for label in figure.drawing.axes[0].get_yticklabels()][:3]
        ['real', 'generated', 'parametric']
    """

    name = "samples"

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        stamps = self.comparison.measurements.stamps
        names = [*SAMPLES, "profile"]
        labels = [*SAMPLES, "profile,\nno PSF or noise"]
        if "noiseless" in stamps:
            names.append("noiseless")
            labels.append("real,\nno noise")
        figure = stamp_grid(self.comparison, [(stamps[name].__getitem__, False) for name in names],
                            labels)
        if figure is not None:
            yield Figure(
                "samples", "Real galaxies, generated galaxies for the same catalogue columns, and "
                "the best parametric fits, with the same PSF and new noise of the same level; "
                "below, the generated light profiles themselves, and the true ones if they are "
                "known. Bright to faint from left to right.", figure)

    template = "{{ figures }}"


def stamp_grid(comparison: "Comparison",
               rows: Sequence[tuple[Callable[[int], np.ndarray], bool]], labels: Sequence[str]
               ) -> "matplotlib.figure.Figure | None":
    """A figure of stamps in a grid: one column for each galaxy, one row for each kind of image.

    Parameters:
        comparison:     Gives the galaxies and the noise of their stamps.
        rows:           For each row, a function from the index of a galaxy to an image [S, S], and
                        whether that is a residual.
        labels:         A label for each row.

    Returns:
        the figure; None if no galaxy can be shown.
    """
    chosen = comparison.bright_to_faint(COUNT)
    if not len(chosen):
        return None
    tiles: list[list[np.ndarray]] = [[] for _ in rows]
    for n in chosen:
        stretch = Stretch.of(comparison.measurements.stamps["real"][n],
                             comparison.galaxies.observation(int(n)).noise_sigma)
        for tile_row, (image_of, is_residual) in zip(tiles, rows, strict=True):
            image = image_of(n)
            tile_row.append(stretch.residual(image) if is_residual else stretch.image(image))
    return mosaic(tiles, labels)
