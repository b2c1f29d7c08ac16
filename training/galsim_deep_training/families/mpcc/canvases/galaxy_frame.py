"""The canvas in the frame of the galaxy: half-light radii as unit, with size and flux imposed."""

__all__ = ["GalaxyFrameCanvas"]

from collections.abc import Sequence
from typing import TYPE_CHECKING

import tensorflow as tf

from ....networks.conditions import Columns
from ....recipe import Recipe
from ....rendering.drawing import Pose
from ....rendering.galaxy_renderer import GalaxyRenderer, GalaxyRendererSettings
from .base import Canvas

if TYPE_CHECKING:
    from ....data.dataset import Dataset


class GalaxyFrameCanvas(Canvas, kind="galaxy_frame"):
    """Galaxies with the major axis along x; one further output is the ellipticity.

    `rendering.drawing` draws them on stamps, with the half-light radius and the flux of the
    catalogue.  See `Canvas` for the parameters.

    Example::

        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/acs_mpcc.yaml")
        >>> canvas = GalaxyFrameCanvas(GalaxyRendererSettings(cells=8, core_cells=4), recipe)
        >>> outputs = [tf.zeros([1, cells * n, cells * n]) for cells, n in canvas.render_grids]
        >>> columns = dict(hlr=tf.constant([0.18]), mag_auto=tf.constant([22.0]))
        >>> canvas.render(outputs, tf.zeros([1, 1]), tf.ones([1, 3]), columns).shape
        TensorShape([1, 128, 128])
    """

    Settings = GalaxyRendererSettings
    settings: GalaxyRendererSettings
    scalars = 1
    position_angle_size = 3

    def __init__(self, settings: GalaxyRendererSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self.render_grids, self.view_grids = settings.render_grids, settings.view_grids
        self.renderer = GalaxyRenderer(settings, recipe)
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
        views, orientation = self.renderer.view(stamps, psfs, noise_sigma, columns, rounded=False)
        return views, orientation.latents
