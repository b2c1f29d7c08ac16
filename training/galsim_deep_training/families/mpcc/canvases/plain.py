"""The canvas of images of any content, with pixels between 0 and 1."""

__all__ = ["Plain"]

from collections.abc import Sequence

import tensorflow as tf
from galsim import GalSimConfigError

from ....networks.conditions import Columns
from ....recipe import Recipe
from ....settings import Settings, Subcells
from .base import Canvas


class PlainSettings(Settings):
    """Settings of the ``plain`` canvas."""

    subcells: Subcells = 1
    """Pixels along each side of a cell of the networks."""


class Plain(Canvas, kind="plain"):
    """Pixels between 0 and 1, rendered with a sigmoid and shown to networks between -1 and 1.

    The thesis (Astorga 2021, table 8.1) renders with tanh, between -1 and 1.  Here images are in
    units of light, which is not negative.  See `Canvas` for the parameters.

    Raises:
        galsim.GalSimConfigError: if the subcells do not divide the size of the stamps.

    Example::

        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/digits_mpcc.yaml")  # stamps of 8 pixels
        >>> canvas = Plain(Plain.Settings(subcells=2), recipe)
        >>> canvas.render_grids
        [(4, 2)]
        >>> image = canvas.render([tf.zeros([1, 8, 8])], None, tf.zeros([1, 0]), columns={})
        >>> float(image[0, 4, 4])
        0.5
    """

    Settings = PlainSettings
    settings: PlainSettings
    may_be_rotated = False

    def __init__(self, settings: PlainSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        cells, rest = divmod(recipe.stamp.size, settings.subcells)
        if rest:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.canvas.subcells, {settings.subcells}, does not "
                f"divide the stamp of {recipe.stamp.size} pixels.")
        self.render_grids = self.view_grids = [(cells, settings.subcells)]

    def render(self, outputs: Sequence[tf.Tensor], scalars: tf.Tensor | None,
               position_angle_latents: tf.Tensor, columns: Columns) -> tf.Tensor:
        return tf.sigmoid(outputs[0])

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor, columns: Columns,
             position_angle_latents: tf.Tensor | None = None
             ) -> tuple[list[tf.Tensor], tf.Tensor]:
        return [2.0 * stamps[..., None] - 1.0], tf.zeros([tf.shape(stamps)[0], 0])
