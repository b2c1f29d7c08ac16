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

from ..bounds import (
    Channels,
    EvenCells,
    Fineness,
    Maps,
    PositivePixels,
    PositiveShare,
    Reach,
    Within,
)
from ..galaxy_frame import Scene, SceneSettings
from ..networks.drawing import Pose
from ..networks.encoder import Encoder
from ..networks.half_light import SIZES
from ..networks.ladder import Ladder
from .base import Autoencoder, Inference, divergence


class GalaxyFrameSettings(SceneSettings):
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


class GalaxyFrameAutoencoder(Autoencoder, name="galaxy_frame"):
    """See the module's docstring.

    The pose is (cos, sin of the position angle; parity by its sign; shift along and across the
    major axis; ln size; ln flux), the latter four in units of their scales.  The vector starts with
    the elongation, which is about the one that is measured.
    """

    Settings = GalaxyFrameSettings
    pose_size = 7
    turn_size = 3
    format = 4

    def __init__(self, settings, recipe, context):
        super().__init__(settings, recipe, context)
        self._check_sizes()
        finest = settings.cells // 4
        core = settings.core, settings.core_fineness
        seen, drawn = [(finest, 4), core], [(finest, settings.fineness), core]
        self.scene = Scene(settings, recipe, seen, drawn)
        self.encoder = Encoder(settings.latent_size + 4, settings.encoder_channels,
                               settings.hidden, seen)
        self.ladder = Ladder(settings.cells // 16, settings.channels, settings.maps,
                             settings.hidden, settings.start, drawn)
        self.networks = dict(encoder=self.encoder, ladder=self.ladder,
                             drawing=self.scene.drawing)
        self.vector_size = settings.latent_size
        self.detail_shapes = self.ladder.map_shapes
        place = np.arange(settings.latent_size + 4) == self.pose_size - self.turn_size
        self._is_elongation = place.astype(np.float32)

    def _check_sizes(self):
        for column in self.recipe.columns:
            if column.name == self.settings.size_column and not (
                    SIZES[0] <= column.valid_range[0] and column.valid_range[1] <= SIZES[-1]):
                raise GalSimConfigError(
                    f"The recipe {self.recipe.path}, column '{column.name}', has the valid_range "
                    f"{list(column.valid_range)}; the autoencoder '{self.name}' draws half-light "
                    f"radii from {SIZES[0]:g} to {SIZES[-1]:g} pixels.")

    def prepare(self, dataset):
        self.scene.prepare(dataset)

    def infer(self, batch, normal, progress):
        seen, orientation = self.scene.look(
            batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        context = self.context(batch)
        mean, scale, features = self._suggest(seen, orientation, context)
        # Position angle and parity are measured, not drawn.
        _, normal, details = tf.split(
            normal, [self.turn_size, mean.shape[-1], self.detail_size], axis=-1)
        pose, vector = tf.split(
            mean + scale * normal, [self.pose_size - self.turn_size, self.vector_size], axis=-1)
        numbers, found = self.ladder.infer(
            vector, context, self._by_rung(features), self._maps(details))
        profiles = self.scene.draw(
            numbers, self._pose(orientation.latents, pose, vector), batch)
        divergences = dict(pose=divergence(mean[:, :4], scale[:, :4]),
                           vector=divergence(mean[:, 4:], scale[:, 4:]))
        if self.detail_size:
            divergences["detail"] = tf.add_n(
                [divergence(*pair) for pair in found if pair[0].shape[-1]])
        return Inference(profiles, divergences, {})

    def encode(self, stamps, psfs, noise_sigma, columns):
        seen, orientation = self.scene.look(stamps, psfs, noise_sigma, columns)
        context = self.context(columns)
        mean, scale, features = self._suggest(seen, orientation, context)
        count = tf.shape(mean)[0]
        _, found = self.ladder.infer(mean[:, 4:], context, self._by_rung(features),
                                     self._maps(tf.zeros([count, self.detail_size])))
        # Not -1 for the count: the last maps may be empty.
        maps = [[tf.reshape(tensor, [count, int(np.prod(shape))]) for tensor in pair]
                for pair, shape in zip(found, self.ladder.map_shapes, strict=True)]
        angle = orientation.latents
        certain = tf.fill(tf.shape(angle), 1e-3)
        return (tf.concat([angle, mean, *(m for m, _ in maps)], axis=-1),
                tf.concat([certain, scale, *(s for _, s in maps)], axis=-1))

    def decode(self, latent, columns):
        angle, pose, vector, details = tf.split(
            latent, [self.turn_size, self.pose_size - self.turn_size, self.vector_size,
                     self.detail_size], axis=-1)
        numbers = self.ladder(vector, self.context(columns), self._maps(details))
        return self.scene.draw(numbers, self._pose(angle, pose, vector), columns)

    def generate(self, turn, shape, columns):
        vector, details = tf.split(shape, [self.vector_size, self.detail_size], axis=-1)
        numbers = self.ladder(vector, self.context(columns), self._maps(details))
        return self.scene.draw(numbers, Pose(self._orientation(turn, vector)), columns)

    def _suggest(self, seen, orientation, context):
        """What the encoder says, with the elongation counted from the one measured."""
        mean, scale, features = self.encoder(seen, context)
        measured = (
            orientation.elongation - self.scene.elongation_zero) / self.scene.elongation_unit
        return mean + measured[:, None] * self._is_elongation, scale, features

    def _orientation(self, angle, vector):
        """From the latents (cos, sin, parity) and the latent vector."""
        return self.scene.orientation(angle, vector[:, 0])

    def _pose(self, angle, latents, vector):
        """From the latents of the angle, those of shift, size and flux, and the vector."""
        orientation = self._orientation(angle, vector)
        shift = orientation.turned(self.settings.shift_scale * latents[:, :2])
        return Pose(orientation, shift, *tf.unstack(
            self.settings.pose_scale * latents[:, 2:], axis=-1))

    def _by_rung(self, features):
        """The encoder's features in the order of the ladder, coarse first."""
        return features[::-1]

    def _maps(self, details):
        """Cut the detail latents [N, D] into maps."""
        sizes = [int(np.prod(shape)) for shape in self.ladder.map_shapes]
        count = tf.shape(details)[0]
        return [tf.reshape(part, [count, *shape]) for part, shape in zip(
            tf.split(details, sizes, axis=-1), self.ladder.map_shapes, strict=True)]
