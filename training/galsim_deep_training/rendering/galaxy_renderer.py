"""Rendering in the frame of the galaxy, with size and flux as listed in a catalogue."""

__all__ = ["GalaxyRenderer", "GalaxyRendererSettings"]

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import pydantic
import tensorflow as tf
from galsim import GalSimConfigError, GalSimError

from ..data.dataset import Dataset
from ..networks.nested_grids import Grids
from ..recipe import Column, Recipe
from ..settings import EvenCells, HalfWidth, PositivePixels, Settings, Subcells, check_grid
from .drawing import Drawing, Pose
from .grid import GalaxyGrid
from .half_light import SIZES
from .orientation import Orientation, orientation_from_latents
from .views import view_in_galaxy_frame

NO_PSF = np.pad([[1.0]], 4)
"""The PSF image of sizes before the PSF."""


class GalaxyRendererSettings(Settings):
    """Settings of components that work in the frame of the galaxy.

    The networks work on a square grid of cells. Rendered images and views (the input of networks)
    divide each cell into smaller ones, and the central part of the grid more finely.

    >>> GalaxyRendererSettings(cells=16, core_cells=4).render_grids
    ((16, 2), (4, 8))
    """

    cells: EvenCells = 24
    """Cells on a side of the grid."""
    half_width: HalfWidth = 4.0
    """Half the width of the grid [half-light radii]."""
    subcells: Subcells = 2
    """Cells of rendered images along each side of a cell."""
    view_subcells: Subcells = 2
    """Cells of views along each side of a cell."""
    core_cells: EvenCells = 10
    """Cells on a side of the central part of the grid, which has images of its own in addition."""
    core_subcells: Subcells = 8
    """As ``subcells``, in the central part."""
    core_view_subcells: Subcells = 8
    """As ``view_subcells``, in the central part."""
    psf_radius: PositivePixels = 2.5
    """Half-light radius of the PSF of the survey [pixels], if sizes are those observed through it.
    """

    @pydantic.field_validator("core_cells")
    @classmethod
    def _core_fits(cls, core_cells: int, info: pydantic.ValidationInfo) -> int:
        cells = info.data.get("cells", core_cells)
        if core_cells > cells:
            raise ValueError(f"should be at most the cells on a side ({cells})")
        return core_cells

    @pydantic.model_validator(mode="after")
    def _grids_are_small(self) -> Self:
        for part in ("", "core_"):
            for subcells in ("subcells", "view_subcells"):
                check_grid(self, f"{part}cells", f"{part}{subcells}")
        return self

    @property
    def image_pixels(self) -> int:
        """Pixels of the rendered images of a galaxy, or of its views if these have more."""
        return max(sum((cells * subcells)**2 for cells, subcells in grids)
                   for grids in (self.render_grids, self.view_grids))

    @property
    def render_grids(self) -> Grids:
        """``(cells, subcells)`` of rendered images, see `networks.nested_grids`."""
        return (self.cells, self.subcells), (self.core_cells, self.core_subcells)

    @property
    def view_grids(self) -> Grids:
        """``(cells, subcells)`` of views."""
        return (self.cells, self.view_subcells), (self.core_cells, self.core_view_subcells)


class GalaxyRenderer:
    """Converts stamps to views in the frame of the galaxy, and network outputs to light profiles.

    Parameters:
        settings:       `GalaxyRendererSettings`.
        recipe:         The `Recipe`, with columns for the half-light radius and the magnitude.

    The half-light radius is that before the PSF, or that observed through it (``as_observed``).

    Raises a `galsim.GalSimConfigError` if the recipe lacks one of the two columns, or has a valid
    range of a half-light radius in pixels that exceeds the table of `rendering.half_light`.

    A family uses it twice, on the way from stamps to networks and back::

        views, orientation = renderer.view(stamps, psfs, noise_sigma, columns)
        profiles = renderer.draw(outputs, Pose(orientation), columns)

    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/acs_mpcc.yaml")  # zero point 25.94
    >>> renderer = GalaxyRenderer(GalaxyRendererSettings(cells=8, core_cells=4), recipe)
    >>> columns = dict(hlr=tf.constant([0.18]), mag_auto=tf.constant([25.94]))
    >>> outputs = [tf.zeros([1, cells * n, cells * n])
    ...            for cells, n in renderer.settings.render_grids]
    >>> pose = Pose(renderer.orientation(tf.ones([1, 3]), tf.zeros([1])))
    >>> renderer.draw(outputs, pose, columns).shape, round(float(recipe.flux(columns)[0]), 3)
    (TensorShape([1, 128, 128]), 1.0)
    """

    ellipticity_zero, ellipticity_unit = 0.25, 0.2
    """Ellipticity of a latent of zero, and ellipticity for one unit of the latent."""

    def __init__(self, settings: GalaxyRendererSettings, recipe: Recipe) -> None:
        self.settings, self.recipe = settings, recipe
        recipe.required_column("magnitude", "the frame of the galaxy")
        column = recipe.required_column("half_light_radius", "the frame of the galaxy")
        self._as_observed = column.as_observed
        if column.as_observed:
            self._check_sizes(column)
        self.view_grids = self._galaxy_grids(settings.view_grids)
        self.drawing = Drawing(self._galaxy_grids(settings.render_grids),
                               settings.psf_radius if column.as_observed else 0.0)

    def _check_sizes(self, column: Column) -> None:
        recipe = self.recipe
        low, high = (recipe.pixels(column) * limit for limit in column.valid_range)
        if not (SIZES[0] <= low and high <= SIZES[-1]):
            raise GalSimConfigError(
                f"The recipe {recipe.path}, column '{column.name}', has the valid_range "
                f"{list(column.valid_range)} [{column.unit}]; half-light radii are drawn from "
                f"{SIZES[0]:g} to {SIZES[-1]:g} pixels. Choose a valid_range within these limits.")

    def _galaxy_grids(self, grids: Grids) -> list[GalaxyGrid]:
        return [GalaxyGrid(self.recipe.stamp.size, cells * subcells,
                           self.settings.half_width * cells / self.settings.cells)
                for cells, subcells in grids]

    def prepare(self, dataset: Dataset) -> None:
        """Adapt to the PSF through which sizes are observed, the mean of those of a data set.

        Raises a `galsim.GalSimError` if the data set has sizes that exceed the table of
        `rendering.half_light`.
        """
        radii = self.recipe.half_light_radius(
            dict(dataset.columns, pixel_scale=dataset.pixel_scales))
        # Catalogues and conversions of units round.
        if not (SIZES[0] <= 1.00001 * radii.min() and radii.max() <= 1.00001 * SIZES[-1]):
            raise GalSimError(
                f"The data set {dataset.path} has half-light radii from {radii.min():.3g} to "
                f"{radii.max():.3g} pixels; galaxies are drawn with {SIZES[0]:g} to "
                f"{SIZES[-1]:g} pixels. Leave the others out, by the settings of the builder.")
        self.drawing.half_light.adapt(
            dataset.mean_psf() if self._as_observed else NO_PSF)

    def orientation(self, position_angle_latents: tf.Tensor,
                    ellipticity_latent: tf.Tensor) -> Orientation:
        """The `Orientation` of position-angle latents [N, 3] and an ellipticity latent [N]."""
        return orientation_from_latents(
            position_angle_latents,
            self.ellipticity_zero + self.ellipticity_unit * ellipticity_latent)

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
             columns: Mapping[str, tf.Tensor],
             rounded: bool = True) -> tuple[list[tf.Tensor], Orientation]:
        """Resample stamps to the frames of their galaxies, see `view_in_galaxy_frame`.

        Parameters:
            stamps:         Observed stamps, [N, S, S].
            psfs:           Their PSFs, [N, P, P].
            noise_sigma:    Standard deviation of the noise in a pixel, [N].
            columns:        Catalogue columns, [N] each.
            rounded:        Whether the ellipticity is undone as well.

        Returns:
            (views, one for each grid, [N, C, C, 3] each; the measured `Orientation`).
        """
        scale = self.drawing.intrinsic_radius(self.recipe.half_light_radius(columns))
        return view_in_galaxy_frame(self.view_grids, stamps, psfs, noise_sigma, scale,
                                    self.recipe.flux(columns), rounded)

    def draw(self, outputs: Sequence[tf.Tensor], pose: Pose,
             columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Draw light profiles with size and flux of the catalogue.

        Parameters:
            outputs:    Outputs of a network on the ``render_grids``, [N, C, C] each.
            pose:       A `Pose`.
            columns:    Catalogue columns, [N] each.

        Returns:
            light profiles before PSF and pixel, [N, S, S].
        """
        return self.drawing.draw(self.drawing.to_light(outputs), pose,
                                 self.recipe.half_light_radius(columns), self.recipe.flux(columns))
