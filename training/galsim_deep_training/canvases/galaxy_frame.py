"""The galaxy's own frame, in units of the half-light radius, with size and flux as asked."""

__all__ = ["GalaxyFrameCanvas"]

import pydantic

from ..bounds import EvenCells, Fineness, Reach
from ..galaxy_frame import Scene, SceneSettings
from ..networks.drawing import Pose
from .base import Canvas


class GalaxyFrameSettings(SceneSettings):
    """Settings of the ``galaxy_frame`` canvas."""

    cells: EvenCells = 24
    """Cells on a side that the networks work in."""
    reach: Reach = 4.0
    """Half the width of the frame, in half-light radii."""
    fineness: Fineness = 2
    """How many cells are painted along each side of one."""
    seen_fineness: Fineness = 2
    """And how many are seen."""
    core: EvenCells = 10
    """Of how many cells in the middle there is a finer grid besides."""
    core_fineness: Fineness = 8
    """How many cells are painted along each side of one there."""
    core_seen_fineness: Fineness = 8

    @pydantic.field_validator("core")
    @classmethod
    def _core_fits(cls, core, info):
        cells = info.data.get("cells", core)
        if core > cells:
            raise ValueError(f"should be at most the cells on a side ({cells})")
        return core


class GalaxyFrameCanvas(Canvas, name="galaxy_frame"):
    """Shapes are painted along the x axis; one number is the elongation.

    How they are drawn, and that size and flux are as asked, is that of `networks.drawing`.
    """

    Settings = GalaxyFrameSettings
    scalars = 1
    turn_size = 3

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        self.drawn = [(settings.cells, settings.fineness), (settings.core, settings.core_fineness)]
        self.seen = [(settings.cells, settings.seen_fineness),
                     (settings.core, settings.core_seen_fineness)]
        self.scene = Scene(settings, recipe, self.seen, self.drawn)
        self.layers = dict(drawing=self.scene.drawing)

    def prepare(self, dataset):
        self.scene.prepare(dataset)

    def paint(self, numbers, scalars, turn, columns):
        pose = Pose(self.scene.orientation(turn, scalars[:, 0]))
        return self.scene.draw(numbers, pose, columns)

    def look(self, stamps, psfs, noise_sigma, columns, turn=None):
        # Known or not: how galaxies seem to lie is undone with its errors, in real and generated
        # stamps alike.
        views, found = self.scene.look(stamps, psfs, noise_sigma, columns, rounded=False)
        return views, found.latents
