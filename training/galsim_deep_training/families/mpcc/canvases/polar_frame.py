"""The canvas of an envelope and structure on a polar grid."""

__all__ = ["PolarFrameCanvas", "PolarFrameCanvasSettings"]

from collections.abc import Sequence
from typing import Self

import numpy as np
import pydantic
import tensorflow as tf

from ....networks.conditions import Columns
from ....networks.wrapping import wrapped
from ....recipe import Recipe
from ....rendering.polar_renderer import PolarRenderer, PolarShape
from ....rendering.structured_light import StructuredLight, check_rows
from ....settings import Cells, Multiple, Settings, Subcells, check_grid
from .base import AnySizeCanvas

DETAIL = 4.0
"""Factor of the difference of the light from its mean over neighbours."""
LARGEST_AMPLITUDE = 3.0
"""Largest amplitude of the structure."""
SMOOTH_RADIUS = 0.2
"""Radius within which galaxies are smooth, in half-light radii: towards the centre, the structure
of a ring is compressed to a point."""
SMOOTH_PIXELS = 1.5
"""The same in pixels: structure that no telescope resolves is not seen by the discriminator."""


class PolarFrameCanvasSettings(Settings):
    """Settings of the ``polar_frame`` canvas.

    >>> PolarFrameCanvasSettings(cells=8).rows
    32
    """

    cells: Cells = 16
    """Rows of the grid that the networks work on; it has twice as many columns."""
    subcells: Subcells = 4
    """Rows and columns of the structure and of views in a cell of the networks.  The structure has
    8 to 16 rows, or a multiple of 16."""
    contrast: Multiple = 3.0
    """Factor of the views.  The spectral normalisation of the discriminator bounds how much its
    output changes with its input, so that it hardly sees structure of low contrast."""

    @pydantic.model_validator(mode="after")
    def _grid_is_small(self) -> Self:
        check_grid(self, "cells", "subcells")
        check_rows(self.rows)
        return self

    @property
    def rows(self) -> int:
        """Radii of the structure; it has twice as many angles."""
        return self.cells * self.subcells

    @property
    def image_pixels(self) -> int:
        """Values of the structure of a galaxy, and of each channel of its view."""
        return 2 * self.rows**2


class PolarFrameCanvas(AnySizeCanvas, kind="polar_frame"):
    """Galaxies as an envelope times structure, see `rendering.polar_renderer`.

    The generator makes the structure; its further outputs are the ellipticity, the winding, the
    amplitude of the structure, which is small for a smooth galaxy, and the numbers of the envelope.
    Networks see the maps of a `PolarView`, the difference of the first one from its mean over
    neighbours, the radius, the mean of the ring, and numbers that describe the galaxy as a whole,
    its winding among them.  These are repeated at each place, because discriminators judge places
    or sum features over them.  See `Canvas` for the parameters.

    Example::

        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/acs_flow_vae.yaml")
        >>> canvas = PolarFrameCanvas(PolarFrameCanvasSettings(cells=8, subcells=2), recipe)
        >>> columns = dict(hlr=tf.constant([0.18]), mag_auto=tf.constant([25.94]),
        ...                axis_ratio=tf.constant([0.5]))
        >>> scalars = tf.zeros([1, canvas.scalars])
        >>> image = canvas.render([tf.zeros([1, 16, 32])], scalars, tf.ones([1, 3]), columns)
        >>> image.shape, round(float(tf.reduce_sum(image)), 2)
        (TensorShape([1, 128, 128]), 1.0)
    """

    format = 2
    Settings = PolarFrameCanvasSettings
    settings: PolarFrameCanvasSettings
    scalars = 3 + PolarRenderer.envelope_size
    position_angle_size = 3
    wraps = True
    structure_channels = slice(2, 4)

    def __init__(self, settings: PolarFrameCanvasSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self.render_grids = self.view_grids = [(settings.cells, settings.subcells)]
        self.renderer = PolarRenderer(settings.rows, recipe)

    def render(self, outputs: Sequence[tf.Tensor], scalars: tf.Tensor | None,
               position_angle_latents: tf.Tensor, columns: Columns) -> tf.Tensor:
        light = self._light(outputs, scalars, position_angle_latents, columns)
        return light.at_pixels(self.recipe.stamp.size)

    def render_on(self, size: int, outputs: Sequence[tf.Tensor], scalars: tf.Tensor | None,
                  position_angle_latents: tf.Tensor, columns: Columns) -> tf.Tensor:
        light = self._light(outputs, scalars, position_angle_latents, columns)
        return self.renderer.on_stamp(light, size, columns)

    def extent(self, scalars: tf.Tensor | None, position_angle_latents: tf.Tensor,
               columns: Columns) -> tf.Tensor:
        return self.renderer.extent(_shape(scalars, position_angle_latents), columns)

    def _light(self, outputs: Sequence[tf.Tensor], scalars: tf.Tensor | None,
               position_angle_latents: tf.Tensor, columns: Columns) -> StructuredLight:
        shape = _shape(scalars, position_angle_latents)
        assert scalars is not None
        # One for an output of zero.
        amplitude = LARGEST_AMPLITUDE * tf.sigmoid(scalars[:, 2] - np.log(LARGEST_AMPLITUDE - 1))
        structure = amplitude[:, None, None] * outputs[0] * self._visible(columns)
        return self.renderer.imposed(structure, shape, columns)

    def _visible(self, columns: Columns) -> tf.Tensor:
        """What the structure is multiplied by: it falls to zero at the centre, [N, R, 1]."""
        smooth = tf.square(SMOOTH_RADIUS) + tf.square(
            SMOOTH_PIXELS / self.recipe.half_light_radius(columns))
        radius = np.exp(np.asarray(self.renderer.grid.log_radius, np.float32))
        return 1.0 - tf.exp(-0.5 * tf.square(radius)[:, None] / smooth[:, None, None])

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor, columns: Columns,
             position_angle_latents: tf.Tensor | None = None
             ) -> tuple[list[tf.Tensor], tf.Tensor]:
        # The orientation is measured on generated stamps too, so that its errors are the same as
        # for real ones.
        view = self.renderer.view(stamps, psfs, noise_sigma, columns)
        rows, angles = view.maps.shape[1:3]
        log_radius = np.asarray(self.renderer.grid.log_radius, np.float32)[None, :, None, None]
        rings = tf.stack(tf.split(view.rings, 2, axis=1), axis=-1)[:, :, None]
        everywhere = [
            rings, log_radius * tf.ones_like(rings[..., :1]),
            tf.concat([view.scalars, view.winding[:, None]], axis=-1)[:, None, None]
            * tf.ones([1, rows, 1, 1])]
        significance = view.maps[..., :1]
        detail = significance - tf.nn.avg_pool2d(wrapped(significance), 3, 1, "VALID")
        maps = tf.concat([view.maps, DETAIL * detail, tf.tile(
            tf.concat(everywhere, axis=-1), [1, 1, angles, 1])], axis=-1)
        return [self.settings.contrast * maps], view.orientation.latents


def _shape(scalars: tf.Tensor | None, position_angle_latents: tf.Tensor) -> PolarShape:
    assert scalars is not None
    return PolarShape(position_angle_latents, ellipticity=scalars[:, 0], winding=scalars[:, 1],
                      envelope=scalars[:, 3:])
