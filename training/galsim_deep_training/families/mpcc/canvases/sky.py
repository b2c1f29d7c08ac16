"""The canvas of sources on a patch of sky, such as those of a radio survey.

A source is rendered along the x axis of a frame that is slightly larger than the source, and placed
on the sky at a random position angle.  Observed sources are shown to the networks in such a frame,
rotated back along their major axis.  So networks learn morphology, and need not learn that sources
come in all sizes and at all position angles.

Columns describe a source as it is observed through the beam, above the contour at which images are
clipped, while the light is rendered before the beam:

* The rendered frame is smaller than the observed one by the width that the beam gives to a point
  source, so that an unresolved source is rendered as hardly more than a point.
* The column gives the flux in pixels brighter than the contour; the total flux is larger.

Generated sources are rotated back by the position angle that they were rendered with.  If it were
measured, a source rendered along the y axis would look the same as one along the x axis: the
generator would change between the two, and its averaged weights would render both at once.
"""

__all__ = ["Sky"]

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
import pydantic
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep.observations.units import arcsec_of

from ....networks.blocks import softplus
from ....networks.conditions import Columns
from ....recipe import Recipe
from ....rendering.contour import Contour
from ....rendering.drawing import edge_window
from ....rendering.grid import GalaxyGrid
from ....rendering.orientation import Orientation, orientation_from_latents
from ....settings import (
    Cells,
    HalfWidth,
    Multiple,
    Settings,
    Subcells,
    Weight,
    Within,
    check_grid,
)
from .base import Canvas

MIN_OBSERVED_RADIUS, MIN_RENDERED_RADIUS = 2.0, 0.75
"""Smallest half size of a source as observed and before the beam [pixels]."""


class SkySettings(Settings):
    """Settings of the ``sky`` canvas."""

    beam: Annotated[float, Within(0, 3600)] = 0.0
    """FWHM of the Gaussian beam that the columns were measured through [arcsec].
    [default: no beam; then the columns describe the light itself]"""
    contour_flux: Annotated[float, Within(0, 1e30)] = 0.0
    """Flux of a point source whose peak is at the contour at which sizes are measured and images
    are clipped, in the unit of the flux column; with a beam only."""
    cells: Cells = 24
    """Cells on a side of the grid that the networks work on."""
    subcells: Subcells = 3
    """Cells of rendered images and of views along each side of a cell of the networks."""
    half_width: HalfWidth = 1.3
    """Half the width of the grid, in units of half the size of the source."""
    scale_length: Multiple = 0.25
    """Scale length of the exponential source that is rendered where the outputs of the generator
    are zero, in the same unit."""
    weight_sigma: Multiple = 0.7
    """Sigma of the Gaussian weight of the moments from which the orientation is measured, in the
    same unit."""
    min_signal: Weight = 1.0
    """Pixels fainter than this do not contribute to these moments [sigma of the noise]."""

    @pydantic.model_validator(mode="after")
    def _grid_is_small(self) -> Self:
        check_grid(self, "cells", "subcells")
        return self

    @property
    def image_pixels(self) -> int:
        """Pixels of the rendered image of a source, and of its view."""
        return (self.cells * self.subcells)**2


class Sky(Canvas, kind="sky"):
    """Sources with a largest angular size and a flux; see the module's docstring.

    The recipe needs columns of the quantities ``flux``, in the unit of the stamps summed over
    pixels, and ``largest_angular_size``: the largest distance between the centres of two pixels
    above the contour, plus one pixel.  See `Canvas` for the parameters.

    Raises:
        galsim.GalSimConfigError: if such a column is missing, or only one of beam and contour flux
            is given.

    Example::

        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/first_mpcc.yaml")
        >>> canvas = Sky(Sky.Settings(), recipe)  # without a beam
        >>> columns = dict(flux_density=tf.constant([20.0]), size=tf.constant([45.0]))
        >>> light = canvas.render([tf.zeros([1, 72, 72])], None, tf.ones([1, 3]), columns)
        >>> light.shape, round(float(tf.reduce_sum(light)), 2)
        (TensorShape([1, 96, 96]), 20.0)
    """

    Settings = SkySettings
    settings: SkySettings
    format = 8
    position_angle_size = 3

    def __init__(self, settings: SkySettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self._flux_column = recipe.required_column("flux", "the canvas 'sky'").name
        size_column = recipe.required_column("largest_angular_size", "the canvas 'sky'")
        self._size_column = size_column.name
        self._size_unit = arcsec_of(size_column.unit, recipe.stamp.pixel_scale)
        if settings.beam and not settings.contour_flux:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.canvas, gives a beam of {settings.beam:g} arcsec "
                "and not 'contour_flux', the flux of a point source whose peak is at the contour "
                "at which sizes are measured.")
        if settings.contour_flux and not settings.beam:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.canvas, gives 'contour_flux' and not 'beam', the "
                "FWHM in arcsec of the beam, which determines the surface brightness of the "
                "contour.")
        self.render_grids = self.view_grids = [(settings.cells, settings.subcells)]
        count = settings.cells * settings.subcells
        self.grid = GalaxyGrid(recipe.stamp.size, count, settings.half_width)
        radius_squared = self.grid.x**2 + self.grid.y**2
        self._ln_envelope = (-np.sqrt(radius_squared) / settings.scale_length).astype(np.float32)
        self._window = edge_window(count, count // 8)
        self._stamp_window = edge_window(recipe.stamp.size)
        if settings.beam:
            self.contour = Contour(recipe.stamp.size, settings.beam / recipe.stamp.pixel_scale,
                                   settings.contour_flux)
        # Neighbouring sources near the edge would have a large effect on unweighted moments.
        self._weight = np.exp(-0.5 * radius_squared / settings.weight_sigma**2).astype(np.float32)

    def _size(self, columns: Columns) -> tf.Tensor:
        """The observed size of sources [arcsec], [N]."""
        size = columns[self._size_column]
        return size if self._size_unit == 1 else self._size_unit * size

    def _observed_radius(self, columns: Columns) -> tf.Tensor:
        """Half the size of sources as they are observed [pixels], [N]."""
        return tf.maximum(0.5 * self._size(columns) / self.recipe.stamp.pixel_scale,
                          MIN_OBSERVED_RADIUS)

    def rendered_radius(self, columns: Columns) -> tf.Tensor:
        """Half the size of sources before the beam [pixels], [N]."""
        settings, size = self.settings, self._size(columns)
        if settings.beam:
            contrast = columns[self._flux_column] / settings.contour_flux
            resolved = tf.nn.relu(size - self._point_width(contrast))
            # The flux of an extended source is distributed over several beams, each of which is
            # fainter and so narrower at the contour.
            size -= self._point_width(contrast / (1.0 + resolved / settings.beam))
        return tf.maximum(0.5 * size / self.recipe.stamp.pixel_scale, MIN_RENDERED_RADIUS)

    def _point_width(self, contrast: tf.Tensor) -> tf.Tensor:
        """Observed size of a point source at the contour [arcsec], [N].

        ``contrast`` [N] is its peak in units of the contour.
        """
        contrast = tf.maximum(contrast, 1.0)
        return (self.settings.beam * tf.sqrt(tf.math.log(contrast) / np.log(2.0))
                + self.recipe.stamp.pixel_scale)

    def render(self, outputs: Sequence[tf.Tensor], scalars: tf.Tensor | None,
               position_angle_latents: tf.Tensor, columns: Columns) -> tf.Tensor:
        # Squared, since the surface brightness varies a thousandfold along a source.
        light = tf.square(softplus(outputs[0] + self._ln_envelope))
        light *= tf.constant(self._window)[:, None] * self._window
        orientation = orientation_from_latents(position_angle_latents)
        light = self.grid.to_stamp(
            self.grid.resample_portable(light, orientation.rotation_from_sky),
            self.rendered_radius(columns))
        # The interpolation kernel has negative lobes.
        light = tf.nn.relu(light) * (tf.constant(self._stamp_window)[:, None] * self._stamp_window)
        flux = columns[self._flux_column][:, None, None]
        light *= flux / tf.reduce_sum(light, axis=[1, 2], keepdims=True)
        return self.contour.with_flux_above(light, flux) if self.settings.beam else light

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor, columns: Columns,
             position_angle_latents: tf.Tensor | None = None
             ) -> tuple[list[tf.Tensor], tf.Tensor]:
        image = self.grid.from_stamp(stamps, self._observed_radius(columns))
        sigma = noise_sigma[:, None, None]
        if position_angle_latents is None:
            orientation = self._measured_orientation(
                tf.where(image > self.settings.min_signal * sigma, image, 0.0))
        else:
            orientation = orientation_from_latents(position_angle_latents)
        image = self.grid.resample(image, orientation.to_sky)
        peak = tf.reduce_max(image, axis=[1, 2], keepdims=True)
        # Once in units of the noise, for faint structure, and once in units of the peak.
        views = tf.stack([0.3 * tf.asinh(image / sigma), image / tf.maximum(peak, sigma)], axis=-1)
        return [views], orientation.latents

    def _measured_orientation(self, image: tf.Tensor) -> Orientation:
        """The orientation of sources, from weighted moments of images [N, G, G]."""
        light, x, y = self._weight * image, self.grid.x, self.grid.y
        angle = 0.5 * tf.atan2(2 * tf.reduce_sum(light * (x * y), axis=[1, 2]),
                               tf.reduce_sum(light * (x**2 - y**2), axis=[1, 2]))
        cosine, sine = (part[:, None, None] for part in (tf.cos(angle), tf.sin(angle)))
        along, across = cosine * x + sine * y, cosine * y - sine * x
        # The longer tail is put to the right and upwards.
        end, side = (tf.where(skewness < 0, -1.0, 1.0) for skewness in (
            tf.reduce_sum(light * axis * tf.abs(axis), axis=[1, 2]) for axis in (along, across)))
        return Orientation(tf.cos(angle) * end, tf.sin(angle) * end, side * end)
