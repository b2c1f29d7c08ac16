"""The magnitude bins of a validation."""

__all__ = ["Bin", "magnitude_bins"]

import dataclasses

import numpy as np

from .settings import Settings


@dataclasses.dataclass(frozen=True)
class Bin:
    """The galaxies between two magnitudes.

    Attributes:
        name:       Its name in the report and in report.json.
        rows:       The galaxies that are in it, bool [N].
        low, high:  The magnitudes; None for no limit.

    Example:

        >>> bins = magnitude_bins(np.array([22.0, 24.0, 24.2]), 3, Settings(bins=(23.5,)))
        >>> [(galaxies.name, int(galaxies.rows.sum())) for galaxies in bins]
        [('all', 3), ('mag < 23', 1), ('mag < 23.5', 1), ('mag > 23.5', 2)]
    """

    name: str
    rows: np.ndarray
    low: float | None = None
    high: float | None = None


def magnitude_bins(magnitudes: np.ndarray | None, count: int, settings: Settings
                   ) -> tuple[Bin, ...]:
    """The bins that hold at least one galaxy, the whole sample first.

    Parameters:
        magnitudes:     Of the galaxies, shape [N]; None if they are not known.
        count:          Number of galaxies N.
        settings:       The edges of the bins.

    Returns:
        the `Bin` objects: ``all``, the bright galaxies, and the bins from bright to faint.
    """
    bins = [Bin("all", np.ones(count, bool))]
    if magnitudes is not None:
        bins.append(Bin(f"mag < {settings.bright:g}", magnitudes < settings.bright,
                        high=settings.bright))
        edges = (None, *settings.bins, None)
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            name = (f"mag < {high:g}" if low is None else
                    f"mag > {low:g}" if high is None else f"{low:g} < mag < {high:g}")
            rows = np.ones(count, bool)
            if low is not None:
                rows &= magnitudes >= low
            if high is not None:
                rows &= magnitudes < high
            bins.append(Bin(name, rows, low, high))
    return tuple(magnitude_bin for magnitude_bin in bins if magnitude_bin.rows.any())
