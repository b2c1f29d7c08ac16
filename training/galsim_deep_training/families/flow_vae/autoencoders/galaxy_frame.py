"""Our autoencoder: it works in the galaxy's own frame, with a ladder of latents.

The stamp is seen in units of the asked half-light radius, turned along the major axis that is
measured on it, and stretched until it is round; what is decoded is given the elongation and the
position angle again, the asked size and the asked flux.  So the networks learn morphology alone,
elongation is one number, and position angles are isotropic by construction.
"""

__all__ = ["GalaxyFrameAutoencoder"]

from typing import Annotated

import numpy as np
import pydantic
import tensorflow as tf
from galsim import GalSimConfigError

from ....rendering.drawing import Pose
from ....rendering.galaxy_renderer import GalaxyRenderer, GalaxyRendererSettings
from ....rendering.half_light import SIZES
from ....settings import (
    Channels,
    EvenCells,
    Fineness,
    Maps,
    PositivePixels,
    PositiveShare,
    Reach,
    Within,
)
from ...shared.autoencoder import Inference, kl_divergence
from ..networks.encoder import Encoder
from ..networks.hierarchical_decoder import HierarchicalDecoder
from .base import FlowAutoencoder


class GalaxyFrameSettings(GalaxyRendererSettings):
    """Settings of the ``galaxy_frame`` autoencoder."""

    cells: Annotated[int, Within(16, 4096, multiple_of=16)] = 96
    """Cells on a side of the galaxy's frame as the encoder sees it; a multiple of 16."""
    reach: Reach = 4.0
    """Half the width of the frame, in half-light radii."""
    fineness: Fineness = 2
    """The decoder draws so many cells where the encoder sees four."""
    core: EvenCells = 10
    """How much of the middle is seen and drawn on a finer grid too, in fours of the cells."""
    core_fineness: Fineness = 8
    """How many cells it has there where the encoder sees four."""
    latent_size: Channels = 32
    """Length of the latent vector that the flow learns; its first number is the elongation."""
    channels: tuple[Channels, Channels, Channels] = (96, 64, 32)
    """Of the decoder, at C/16, C/8 and C/4 cells on a side."""
    maps: tuple[Maps, Maps, Maps] = (8, 3, 4)
    """Maps of detail latents at the same resolutions."""
    encoder_channels: tuple[Channels, Channels, Channels] = (40, 64, 80)
    """Of the encoder, at C/4, C/8 and C/16 cells on a side."""
    hidden: Channels = 192
    """Units of the dense layers of encoder and decoder."""
    start: Channels = 32
    """Channels that the vector is made into at C/16 cells."""
    shift_scale: PositivePixels = 0.4
    """Scale of the offset of the centroid [pixels]."""
    pose_scale: PositiveShare = 0.05
    """Scale of ln(size) and ln(flux) about the asked ones."""

    @pydantic.field_validator("core")
    @classmethod
    def _core_fits(cls, core, info):
        cells = info.data.get("cells", 0)
        if 4 * core > cells:
            raise ValueError(f"should be at most a quarter of cells ({cells})")
        return core


class GalaxyFrameAutoencoder(FlowAutoencoder, kind="galaxy_frame"):
    """See the module's docstring.

    The pose is (cos, sin of the position angle; parity by its sign; shift along and across the
    major axis; ln size; ln flux), the latter four in units of their scales.  The vector starts with
    the elongation, which is about the one that is measured.
    """

    Settings = GalaxyFrameSettings
    pose_size = 7
    position_angle_size = 3
    format = 4

    def __init__(self, settings, recipe, conditions):
        super().__init__(settings, recipe, conditions)
        self._check_sizes()
        finest = settings.cells // 4
        core = settings.core, settings.core_fineness
        seen, drawn = [(finest, 4), core], [(finest, settings.fineness), core]
        self.renderer = GalaxyRenderer(settings, recipe, seen, drawn)
        self.encoder = Encoder(settings.latent_size + 4, settings.encoder_channels,
                               settings.hidden, seen)
        self.decoder = HierarchicalDecoder(settings.cells // 16, settings.channels, settings.maps,
                             settings.hidden, settings.start, drawn)
        self.networks = dict(encoder=self.encoder, decoder=self.decoder,
                             drawing=self.renderer.drawing)
        self.vector_size = settings.latent_size
        self.detail_shapes = self.decoder.map_shapes
        place = np.arange(settings.latent_size + 4) == self.pose_size - self.position_angle_size
        self._is_elongation = place.astype(np.float32)

    def _check_sizes(self):
        column = self.recipe.required_column(
            "half_light_radius", f"the autoencoder '{self.kind}'")
        low, high = (self.recipe.pixels(column) * limit for limit in column.valid_range)
        if not (SIZES[0] <= low and high <= SIZES[-1]):
            raise GalSimConfigError(
                f"The recipe {self.recipe.path}, column '{column.name}', has the valid_range "
                f"{list(column.valid_range)} [{column.unit}]; the autoencoder '{self.kind}' draws "
                f"half-light radii from {SIZES[0]:g} to {SIZES[-1]:g} pixels.")

    def prepare(self, dataset):
        self.renderer.prepare(dataset)

    def infer(self, batch, normal, progress):
        seen, orientation = self.renderer.look(
            batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        conditions = self.conditions(batch)
        mean, scale, features = self._suggest(seen, orientation, conditions)
        # Position angle and parity are measured, not drawn.
        _, normal, details = tf.split(
            normal, [self.position_angle_size, mean.shape[-1], self.detail_size], axis=-1)
        pose, vector = tf.split(
            mean + scale * normal,
            [self.pose_size - self.position_angle_size, self.vector_size], axis=-1)
        numbers, found = self.decoder.infer(
            vector, conditions, self._by_rung(features), self._maps(details))
        profiles = self.renderer.draw(
            numbers, self._pose(orientation.latents, pose, vector), batch)
        kl = dict(pose=kl_divergence(mean[:, :4], scale[:, :4]),
                           vector=kl_divergence(mean[:, 4:], scale[:, 4:]))
        if self.detail_size:
            kl["detail"] = tf.add_n(
                [kl_divergence(*pair) for pair in found if pair[0].shape[-1]])
        return Inference(profiles, kl, {})

    def encode(self, stamps, psfs, noise_sigma, columns):
        seen, orientation = self.renderer.look(stamps, psfs, noise_sigma, columns)
        conditions = self.conditions(columns)
        mean, scale, features = self._suggest(seen, orientation, conditions)
        count = tf.shape(mean)[0]
        _, found = self.decoder.infer(mean[:, 4:], conditions, self._by_rung(features),
                                     self._maps(tf.zeros([count, self.detail_size])))
        # Not -1 for the count: the last maps may be empty.
        maps = [[tf.reshape(tensor, [count, int(np.prod(shape))]) for tensor in pair]
                for pair, shape in zip(found, self.decoder.map_shapes, strict=True)]
        angle = orientation.latents
        certain = tf.fill(tf.shape(angle), 1e-3)
        return (tf.concat([angle, mean, *(m for m, _ in maps)], axis=-1),
                tf.concat([certain, scale, *(s for _, s in maps)], axis=-1))

    def decode(self, latent, columns):
        angle, pose, vector, details = tf.split(
            latent, [self.position_angle_size, self.pose_size - self.position_angle_size,
                     self.vector_size, self.detail_size], axis=-1)
        numbers = self.decoder(vector, self.conditions(columns), self._maps(details))
        return self.renderer.draw(numbers, self._pose(angle, pose, vector), columns)

    def generate(self, position_angle_latents, shape_latents, columns):
        vector, details = tf.split(
            shape_latents, [self.vector_size, self.detail_size], axis=-1)
        numbers = self.decoder(vector, self.conditions(columns), self._maps(details))
        orientation = self._orientation(position_angle_latents, vector)
        return self.renderer.draw(numbers, Pose(orientation), columns)

    def _suggest(self, seen, orientation, conditions):
        """What the encoder says, with the elongation counted from the one measured."""
        mean, scale, features = self.encoder(seen, conditions)
        measured = (
            orientation.ellipticity - self.renderer.ellipticity_zero
        ) / self.renderer.ellipticity_unit
        return mean + measured[:, None] * self._is_elongation, scale, features

    def _orientation(self, angle, vector):
        """From the latents (cos, sin, parity) and the latent vector."""
        return self.renderer.orientation(angle, vector[:, 0])

    def _pose(self, angle, latents, vector):
        """From the latents of the angle, those of shift, size and flux, and the vector."""
        orientation = self._orientation(angle, vector)
        shift = orientation.rotate_to_sky(self.settings.shift_scale * latents[:, :2])
        return Pose(orientation, shift, *tf.unstack(
            self.settings.pose_scale * latents[:, 2:], axis=-1))

    def _by_rung(self, features):
        """The encoder's features in the order of the ladder, coarse first."""
        return features[::-1]

    def _maps(self, details):
        """Cut the detail latents [N, D] into maps."""
        sizes = [int(np.prod(shape)) for shape in self.decoder.map_shapes]
        count = tf.shape(details)[0]
        return [tf.reshape(part, [count, *shape]) for part, shape in zip(
            tf.split(details, sizes, axis=-1), self.decoder.map_shapes, strict=True)]
