"""Rendering in the frame of the galaxy, with size and flux as listed in a catalogue."""

__all__ = ["GalaxyRenderer", "GalaxyRendererSettings"]

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from ..recipe import Recipe
from ..settings import PositivePixels, Settings
from .drawing import Drawing, Pose
from .grid import GalaxyGrid
from .orientation import Orientation, orientation_from_latents
from .views import view_in_galaxy_frame

if TYPE_CHECKING:
    from ..data.dataset import Dataset


class GalaxyRendererSettings(Settings):
    """Settings of components that work in the frame of the galaxy."""

    psf_radius: PositivePixels = 2.5
    """Half-light radius of the PSF of the survey [pixels]."""


class GalaxyRenderer:
    """Converts stamps to views in the frame of the galaxy, and network outputs to light profiles.

    Grids are nested and concentric. A grid is described by ``(cells, subcells)``: it covers
    ``cells`` by ``cells`` cells of the network, each of which is divided into ``subcells`` by
    ``subcells`` cells of the `GalaxyGrid`.

    Parameters:
        settings:       `GalaxyRendererSettings` that also have ``reach``: half the width of the
                        widest grid [half-light radii].
        recipe:         The `Recipe`, with columns for the half-light radius and the magnitude.
        view_grids:     Grids of the views, (cells, subcells) each, the widest first.
        drawn_grids:    Grids of the network outputs, likewise.

    Raises a `galsim.GalSimConfigError` if the recipe lacks one of the two columns.
    """

    ellipticity_zero, ellipticity_unit = 0.25, 0.2
    """Ellipticity of a latent of zero, and ellipticity for one unit of the latent."""

    def __init__(self, settings: Any, recipe: Recipe, view_grids: Sequence[tuple[int, int]],
                 drawn_grids: Sequence[tuple[int, int]]) -> None:
        self.settings, self.recipe = settings, recipe
        self._magnitude = recipe.required_column("magnitude", "the frame of the galaxy").name
        recipe.required_column("half_light_radius", "the frame of the galaxy")
        self.view_grids, grids = (
            [GalaxyGrid(recipe.stamp.size, cells * subcells,
                        settings.reach * cells / sizes[0][0]) for cells, subcells in sizes]
            for sizes in (view_grids, drawn_grids))
        self.drawing = Drawing(grids, settings.psf_radius)

    def prepare(self, dataset: "Dataset") -> None:
        """Adapt to the mean PSF of a data set, through which sizes are observed."""
        self.drawing.half_light.adapt(dataset.mean_psf())

    def orientation(self, position_angle_latents: tf.Tensor,
                    ellipticity_latent: tf.Tensor) -> Orientation:
        """The `Orientation` of position-angle latents [N, 3] and an ellipticity latent [N]."""
        return orientation_from_latents(
            position_angle_latents,
            self.ellipticity_zero + self.ellipticity_unit * ellipticity_latent)

    def look(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
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
                                    self.flux(columns), rounded)

    def draw(self, outputs: Sequence[tf.Tensor], pose: Pose,
             columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Draw light profiles with size and flux of the catalogue.

        Parameters:
            outputs:    Outputs of a network on the drawn grids, [N, C, C] each.
            pose:       A `Pose`.
            columns:    Catalogue columns, [N] each.

        Returns:
            light profiles before PSF and pixel, [N, S, S].
        """
        return self.drawing.draw(self.drawing.to_light(outputs), pose,
                                 self.recipe.half_light_radius(columns), self.flux(columns))

    def flux(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The flux that belongs to the magnitude of the catalogue, [N]."""
        magnitude = columns[self._magnitude]
        return tf.pow(10.0, -0.4 * (magnitude - self.recipe.band.zero_point))
