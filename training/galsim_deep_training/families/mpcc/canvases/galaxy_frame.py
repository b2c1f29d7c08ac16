"""The canvas in the frame of the galaxy: half-light radii as unit, with size and flux imposed."""

__all__ = ["GalaxyFrameCanvas"]

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pydantic
import tensorflow as tf

from ....recipe import Recipe
from ....rendering.drawing import Pose
from ....rendering.galaxy_renderer import GalaxyRenderer, GalaxyRendererSettings
from ....settings import EvenCells, Fineness, Reach
from .base import Canvas, Columns

if TYPE_CHECKING:
    from ....data.dataset import Dataset


class GalaxyFrameSettings(GalaxyRendererSettings):
    """Settings of the ``galaxy_frame`` canvas."""

    cells: EvenCells = 24
    """Cells on a side of the grid that the networks work on."""
    reach: Reach = 4.0
    """Half the width of this grid [half-light radii]."""
    fineness: Fineness = 2
    """Cells of the rendered image along each side of a cell of the networks."""
    view_fineness: Fineness = 2
    """Cells of the views along each side of a cell of the networks."""
    core: EvenCells = 10
    """Cells on a side of the central part of the grid, which is rendered and viewed more finely in
    addition."""
    core_fineness: Fineness = 8
    """As ``fineness``, in the central part."""
    core_view_fineness: Fineness = 8
    """As ``view_fineness``, in the central part."""

    @pydantic.field_validator("core")
    @classmethod
    def _core_fits(cls, core: int, info: pydantic.ValidationInfo) -> int:
        cells = info.data.get("cells", core)
        if core > cells:
            raise ValueError(f"should be at most the cells on a side ({cells})")
        return core


class GalaxyFrameCanvas(Canvas, kind="galaxy_frame"):
    """Galaxies with the major axis along x; one further output is the ellipticity.

    `rendering.drawing` draws them on stamps, with the half-light radius and the flux of the
    catalogue.  See `Canvas` for the parameters.
    """

    Settings = GalaxyFrameSettings
    settings: GalaxyFrameSettings
    scalars = 1
    position_angle_size = 3

    def __init__(self, settings: GalaxyFrameSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self.render_grids = [(settings.cells, settings.fineness),
                             (settings.core, settings.core_fineness)]
        self.view_grids = [(settings.cells, settings.view_fineness),
                           (settings.core, settings.core_view_fineness)]
        self.renderer = GalaxyRenderer(settings, recipe, self.view_grids, self.render_grids)
        self.layers = dict(drawing=self.renderer.drawing)

    def prepare(self, dataset: "Dataset") -> None:
        self.renderer.prepare(dataset)

    def render(self, outputs: Sequence[tf.Tensor], scalars: tf.Tensor | None,
               position_angle_latents: tf.Tensor, columns: Columns) -> tf.Tensor:
        assert scalars is not None
        pose = Pose(self.renderer.orientation(position_angle_latents, scalars[:, 0]))
        return self.renderer.draw(outputs, pose, columns)

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor, columns: Columns,
             position_angle_latents: tf.Tensor | None = None
             ) -> tuple[list[tf.Tensor], tf.Tensor]:
        # The orientation is measured on generated stamps too, so that its errors are the same as
        # for real ones.
        views, orientation = self.renderer.look(stamps, psfs, noise_sigma, columns, rounded=False)
        return views, orientation.latents
