"""The hierarchical autoencoder in the frame of the galaxy.

The stamp is resampled to units of the half-light radius, rotated to the measured major axis and
stretched until the galaxy is round. The decoded image gets its ellipticity and position angle back,
and the half-light radius and the flux of the catalogue. The networks therefore learn morphology
only, the ellipticity is a single number, and position angles are isotropic by construction.
"""

__all__ = ["GalaxyFrameAutoencoder", "GalaxyFrameSettings"]

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tensorflow as tf

from ....networks.conditions import Columns, Conditions
from ....recipe import Recipe
from ....rendering.drawing import Pose
from ....rendering.galaxy_renderer import GalaxyRenderer, GalaxyRendererSettings
from ....rendering.orientation import Orientation
from ....settings import Channels, Maps, PositivePixels, PositiveShare, Subcells, Within
from ...shared.autoencoder import Inference, kl_divergence
from ...shared.signatures import POSITION_ANGLE_SCALE
from ..networks.encoder import Encoder
from ..networks.hierarchical_decoder import HierarchicalDecoder
from .base import FlowAutoencoder, flattened

if TYPE_CHECKING:
    from ....data.dataset import Dataset


class GalaxyFrameSettings(GalaxyRendererSettings):
    """Settings of the ``galaxy_frame`` autoencoder.

    >>> settings = GalaxyFrameSettings(cells=16, core_cells=4, maps=(4, 2, 0))
    >>> settings.view_grids, settings.latent_size
    (((16, 4), (4, 8)), 32)
    """

    cells: Annotated[int, Within(4, 1024, multiple_of=4)] = 24
    """Cells on a side of the grid, a multiple of 4: the highest resolution of the networks."""
    view_subcells: Subcells = 4
    """Cells of views along each side of a cell."""
    latent_size: Channels = 32
    """Length of the latent vector; its first number is the ellipticity."""
    channels: tuple[Channels, Channels, Channels] = (96, 64, 32)
    """Channels of the decoder at 1/4, 1/2 and all of the cells on a side."""
    maps: tuple[Maps, Maps, Maps] = (8, 3, 4)
    """Number of maps of detail latents at the same resolutions."""
    encoder_channels: tuple[Channels, Channels, Channels] = (40, 64, 80)
    """Channels of the encoder at all, 1/2 and 1/4 of the cells on a side."""
    hidden: Channels = 192
    """Units of the hidden layers of encoder and decoder."""
    start: Channels = 32
    """Channels of the first feature map of the decoder, at 1/4 of the cells."""
    shift_scale: PositivePixels = 0.4
    """Shift of the centroid for a latent of one [pixels]."""
    pose_scale: PositiveShare = 0.05
    """Change of ln(size) and ln(flux) for a latent of one."""


class GalaxyFrameAutoencoder(FlowAutoencoder, kind="galaxy_frame"):
    """An encoder and a hierarchical decoder in the frame of the galaxy; see `FlowAutoencoder`.

    A latent consists of:

    * the pose: cosine and sine of the position angle, and a number whose sign is the parity; the
      shift of the centroid along and across the major axis, ln(size) and ln(flux) relative to the
      catalogue, in units of their scales;
    * the vector, whose first number is the ellipticity; its posterior mean is the measured one plus
      what the encoder adds;
    * the details: the flattened maps of latents, the lowest resolution first.

    Raises a `galsim.GalSimConfigError` where `GalaxyRenderer` does.

    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/acs_flow_vae.yaml")
    >>> settings = GalaxyFrameSettings(cells=8, core_cells=4, latent_size=6, maps=(2, 1, 0))
    >>> autoencoder = GalaxyFrameAutoencoder(settings, recipe, Conditions(recipe.columns))
    >>> autoencoder.pose_size, autoencoder.vector_size, autoencoder.detail_shapes
    (7, 6, [(2, 2, 2), (4, 4, 1), (8, 8, 0)])
    """

    Settings = GalaxyFrameSettings
    settings: GalaxyFrameSettings
    pose_size = 7
    position_angle_size = 3
    format = 4

    def __init__(self, settings: GalaxyFrameSettings, recipe: Recipe,
                 conditions: Conditions) -> None:
        super().__init__(settings, recipe, conditions)
        self.renderer = GalaxyRenderer(settings, recipe)
        self.encoder = Encoder(settings.latent_size + self.offset_size, settings.encoder_channels,
                               settings.hidden, settings.view_grids)
        self.decoder = HierarchicalDecoder(
            settings.cells // 4, settings.channels, settings.maps, settings.hidden, settings.start,
            settings.render_grids)
        self.networks = dict(encoder=self.encoder, decoder=self.decoder,
                             drawing=self.renderer.drawing)
        self.vector_size = settings.latent_size
        self.detail_shapes = self.decoder.map_shapes
        is_ellipticity = np.arange(settings.latent_size + self.offset_size) == self.offset_size
        self._is_ellipticity = is_ellipticity.astype(np.float32)

    def prepare(self, dataset: "Dataset") -> None:
        self.renderer.prepare(dataset)

    def infer(self, batch: Mapping[str, tf.Tensor], normal: tf.Tensor,
              progress: tf.Tensor) -> Inference:
        views, orientation = self.renderer.view(
            batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        conditions = self.conditions(batch)
        mean, scale, features = self._posterior(views, orientation, conditions)
        # Position angle and parity are measured, not drawn.
        _, normal, detail_noise = tf.split(
            normal, [self.position_angle_size, mean.shape[-1], self.detail_size], axis=-1)
        offsets, vector = tf.split(
            mean + scale * normal, [self.offset_size, self.vector_size], axis=-1)
        outputs, posteriors = self.decoder.infer(
            vector, conditions, features, self.maps(detail_noise))
        profiles = self.renderer.draw(
            outputs, self._pose(orientation.latents, offsets, vector), batch)
        pose_size = self.offset_size
        kl = dict(pose=kl_divergence(mean[:, :pose_size], scale[:, :pose_size]),
                  vector=kl_divergence(mean[:, pose_size:], scale[:, pose_size:]))
        if self.detail_size:
            kl["detail"] = tf.add_n([kl_divergence(mean, scale) for mean, scale in posteriors
                                     if mean.shape[-1]])
        return Inference(profiles, kl, {})

    def encode(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
               columns: Columns) -> tuple[tf.Tensor, tf.Tensor]:
        views, orientation = self.renderer.view(stamps, psfs, noise_sigma, columns)
        conditions = self.conditions(columns)
        mean, scale, features = self._posterior(views, orientation, conditions)
        count = tf.shape(mean)[0]
        _, posteriors = self.decoder.infer(
            mean[:, self.offset_size:], conditions, features,
            self.maps(tf.zeros([count, self.detail_size])))
        details = [[flattened(tensor) for tensor in posterior] for posterior in posteriors]
        measured = orientation.latents
        return (tf.concat([measured, mean, *(means for means, _ in details)], axis=-1),
                tf.concat([tf.fill(tf.shape(measured), POSITION_ANGLE_SCALE), scale,
                           *(scales for _, scales in details)], axis=-1))

    def decode(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        position_angle_latents, offsets, vector, details = tf.split(
            latent, [self.position_angle_size, self.offset_size, self.vector_size,
                     self.detail_size], axis=-1)
        outputs = self.decoder(vector, self.conditions(columns), self.maps(details))
        return self.renderer.draw(
            outputs, self._pose(position_angle_latents, offsets, vector), columns)

    def generate(self, position_angle_latents: tf.Tensor, shape_latents: tf.Tensor,
                 columns: Columns) -> tf.Tensor:
        vector, details = tf.split(
            shape_latents, [self.vector_size, self.detail_size], axis=-1)
        outputs = self.decoder(vector, self.conditions(columns), self.maps(details))
        orientation = self._orientation(position_angle_latents, vector)
        return self.renderer.draw(outputs, Pose(orientation), columns)

    def _posterior(self, views: Sequence[tf.Tensor], orientation: Orientation,
                   conditions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Posterior mean and scale of offsets and vector, and features for the decoder.

        The features are in the order of the decoder, the lowest resolution first.
        """
        mean, scale, features = self.encoder(views, conditions)
        measured = (
            orientation.ellipticity - self.renderer.ellipticity_zero
        ) / self.renderer.ellipticity_unit
        return mean + measured[:, None] * self._is_ellipticity, scale, features[::-1]

    def _orientation(self, position_angle_latents: tf.Tensor, vector: tf.Tensor) -> Orientation:
        return self.renderer.orientation(position_angle_latents, vector[:, 0])

    def _pose(self, position_angle_latents: tf.Tensor, offsets: tf.Tensor,
              vector: tf.Tensor) -> Pose:
        """The `Pose` of latents; the offsets are those of shift, size and flux, [N, 4]."""
        orientation = self._orientation(position_angle_latents, vector)
        shift = orientation.rotate_to_sky(self.settings.shift_scale * offsets[:, :2])
        ln_size, ln_flux = tf.unstack(self.settings.pose_scale * offsets[:, 2:], axis=-1)
        return Pose(orientation, shift, ln_size, ln_flux)
