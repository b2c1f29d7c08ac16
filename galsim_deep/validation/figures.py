"""Colours, labels and a class that the figures of all sections share."""

__all__ = ["COLOURS", "LABELS", "MAP", "Figure", "new_figure"]

import dataclasses
from typing import TYPE_CHECKING

from ..measure.statistics import STATISTICS
from ..picture import new_figure

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
