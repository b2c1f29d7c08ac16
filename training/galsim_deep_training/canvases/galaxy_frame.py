"""The galaxy's own frame, in units of the half-light radius, with size and flux as asked."""

__all__ = ["GalaxyFrameCanvas"]

import pydantic
import tensorflow as tf

from ..networks.drawing import Drawing, Pose
from ..networks.frame import GalaxyFrame
from ..networks.orientation import of_latents
from ..networks.views import look
from ..recipe import Settings
from .base import Canvas


class GalaxyFrameSettings(Settings):
    """Settings of the ``galaxy_frame`` canvas."""

    size_column: str = "flux_radius"
    """The column that holds the observed half-light radius [pixels]."""
    magnitude_column: str = "mag_auto"
    psf_radius: float = 2.5
    """Half-light radius of the survey's PSF [pixels]."""
    cells: int = pydantic.Field(24, multiple_of=2)
    """Cells on a side that the networks work in."""
    reach: float = 4.0
    """Half the width of the frame, in half-light radii."""
    fineness: int = 2
    """How many cells are painted along each side of one."""
    seen_fineness: int = 2
    """And how many are seen."""
    core: int = pydantic.Field(10, gt=0, multiple_of=2)
    """Of how many cells in the middle there is a finer grid besides."""
    core_fineness: int = 8
    """How many cells are painted along each side of one there."""
    core_seen_fineness: int = 8


class GalaxyFrameCanvas(Canvas, name="galaxy_frame"):
    """Shapes are painted along the x axis; one number is the elongation.

    How they are drawn, and that size and flux are as asked, is that of `networks.drawing`.
    """

    Settings = GalaxyFrameSettings
    scalars = 1
    turn_size = 3
    # Elongation that the number is counted from, and its unit.
    elongation_zero, elongation_unit = 0.25, 0.2

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        self.drawn = [(settings.cells, settings.fineness), (settings.core, settings.core_fineness)]
        self.seen = [(settings.cells, settings.seen_fineness),
                     (settings.core, settings.core_seen_fineness)]
        self.views, frames = ([GalaxyFrame(recipe.stamp.size, cells * fineness,
                                           settings.reach * cells / settings.cells)
                               for cells, fineness in grids] for grids in (self.seen, self.drawn))
        self.drawing = Drawing(frames, settings.psf_radius)
        self.layers = dict(drawing=self.drawing)

    def prepare(self, dataset):
        self.drawing.half_light.adapt(dataset.mean_psf())

    def paint(self, numbers, scalars, turn, columns):
        elongation = self.elongation_zero + self.elongation_unit * scalars[:, 0]
        return self.drawing.draw(
            self.drawing.shape(numbers), Pose(of_latents(turn, elongation)),
            columns[self.settings.size_column], self._flux(columns))

    def look(self, stamps, psfs, noise_sigma, columns):
        scale = self.drawing.scale(columns[self.settings.size_column])
        views, found = look(self.views, stamps, psfs, noise_sigma, scale, self._flux(columns),
                            rounded=False)
        return views, tf.stack([found.cosine, found.sine, found.parity], axis=-1)

    def _flux(self, columns):
        magnitude = columns[self.settings.magnitude_column]
        return tf.pow(10.0, -0.4 * (magnitude - self.recipe.stamp.zero_point))
