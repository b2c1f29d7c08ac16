"""Colours, labels and a class that the figures of all sections share."""

__all__ = ["COLOURS", "LABELS", "MAP", "Figure", "new_figure"]

import dataclasses
from typing import TYPE_CHECKING

from ..measure.statistics import STATISTICS

if TYPE_CHECKING:
    import matplotlib.figure

COLOURS = dict(real="#222222", generated="#d1495b", parametric="#3c7dc4")
"""Colours of the samples."""
LABELS = {statistic.name: statistic.label for statistic in STATISTICS}
"""{name of a statistic: its label}."""
MAP = "magma"
"""The colour map of stamps and of densities."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of a report.

    Attributes:
        name:       Name of its file, without the ending.
        caption:    The text below it.
        drawing:    The matplotlib figure.

    Example:

        >>> figure = Figure("sizes", "Sizes of the galaxies.", new_figure(4, 3))
        >>> figure.drawing.subplots().set_xlabel("size [arcsec]").get_text()
        'size [arcsec]'
    """

    name: str
    caption: str
    drawing: "matplotlib.figure.Figure"


def new_figure(width: float, height: float) -> "matplotlib.figure.Figure":
    """A matplotlib figure of a size [inch].

    It is made without pyplot, so that no backend is chosen for the calling program.
    """
    from matplotlib.figure import Figure as MatplotlibFigure

    return MatplotlibFigure(figsize=(width, height), layout="constrained")
