"""The autoencoder of an envelope and structure on a polar grid.

`rendering.polar_renderer` says how both make a galaxy.
"""

__all__ = ["PolarFrameAutoencoder", "PolarFrameSettings"]

import dataclasses
from collections.abc import Mapping
from typing import Self

import numpy as np
import pydantic
import tensorflow as tf

from ....networks.conditions import Columns, Conditions
from ....recipe import Recipe
from ....rendering.polar_renderer import (
    ELLIPTICITY,
    WINDING,
    PolarRenderer,
    PolarShape,
    PolarView,
)
from ....rendering.structured_light import StructuredLight, check_rows
from ....settings import Cells, Channels, Maps, PositivePixels, PositiveShare, Settings
from ...shared.autoencoder import Inference, kl_divergence
from ...shared.signatures import POSITION_ANGLE_SCALE
from ..networks.polar import PolarDecoder, PolarEncoder
from .base import AnySizeAutoencoder, flattened

SHOWN_ROWS = 0.25
"""Rows of the polar grid that a stamp shows, relative to the pixels on its side."""


class PolarFrameSettings(Settings):
    """Settings of the ``polar_frame`` autoencoder.

    >>> settings = PolarFrameSettings(rows=32, maps=(2, 1, 1, 0))
    >>> settings.rows, settings.latent_size
    (32, 24)
    """

    rows: Cells = 64
    """Radii of the polar grid, 8 to 16 or a multiple of 16; it has twice as many angles."""
    latent_size: Channels = 24
    """Length of the latent vector; its first two numbers are the ellipticity and the winding."""
    channels: tuple[Channels, ...] = (48, 32, 16, 8)
    """Channels of the decoder at each resolution, the lowest first."""
    maps: tuple[Maps, ...] = (3, 2, 1, 0)
    """Number of latent maps at the same resolutions."""
    encoder_channels: tuple[Channels, ...] = (16, 32, 48)
    """Channels of the encoder, from half of the rows on downwards."""
    hidden: Channels = 160
    """Units of the hidden layers of encoder and decoder."""
    start: Channels = 24
    """Channels of the first feature map of the decoder."""
    shift_scale: PositivePixels = 0.4
    """Shift of the centroid for a latent of one [pixels]."""
    pose_scale: PositiveShare = 0.05
    """Change of ln(size) and ln(flux) for a latent of one."""

    @pydantic.model_validator(mode="after")
    def _rows_can_be_averaged(self) -> Self:
        check_rows(self.rows)
        return self


class PolarFrameAutoencoder(AnySizeAutoencoder, kind="polar_frame"):
    """An autoencoder with an envelope and structure on a polar grid; see `FlowAutoencoder`.

    The pose consists of cosine and sine of the position angle, and a number whose sign is the
    handedness; the shift of the centroid along and across the major axis, ln(size) and ln(flux)
    relative to the catalogue, in units of their scales.

    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/acs_flow_vae.yaml")
    >>> autoencoder = PolarFrameAutoencoder(
    ...     PolarFrameSettings(rows=32), recipe, Conditions(recipe.columns))
    >>> autoencoder.pose_size, autoencoder.vector_size, autoencoder.detail_shapes
    (7, 24, [(4, 8, 3), (8, 16, 2), (16, 32, 1), (32, 64, 0)])
    """

    Settings = PolarFrameSettings
    settings: PolarFrameSettings
    pose_size = 7
    position_angle_size = 3
    format = 1

    def __init__(self, settings: PolarFrameSettings, recipe: Recipe,
                 conditions: Conditions) -> None:
        super().__init__(settings, recipe, conditions)
        rows = settings.rows
        self.renderer = PolarRenderer(rows, recipe)
        levels = len(settings.channels)
        base = rows // 2 ** (levels - 1)
        self.vector_size = settings.latent_size
        self.encoder = PolarEncoder(settings.latent_size + self.offset_size,
                                    settings.encoder_channels, settings.hidden)
        self.decoder = PolarDecoder((base, 2 * base), settings.channels, settings.maps,
                                    settings.hidden, settings.start,
                                    self.renderer.envelope_size)
        self.networks = dict(encoder=self.encoder, decoder=self.decoder)
        self.detail_shapes = self.decoder.map_shapes
        size = settings.latent_size + self.offset_size
        self._is_measured = np.zeros((2, size), np.float32)
        for number in range(2):
            self._is_measured[number, self.offset_size + number] = 1

    # ---- from stamps to latents ---------------------------------------------------------------

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
             columns: Columns) -> PolarView:
        """Observed stamps as the encoder sees them; see `PolarRenderer.view`."""
        return self.renderer.view(stamps, psfs, noise_sigma, columns)

    def _posterior(self, view: PolarView, conditions: tf.Tensor
                   ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor | None]]:
        mean, scale, features = self.encoder(
            view.maps, view.rings, tf.concat([conditions, view.scalars], axis=-1))
        at_ellipticity, at_winding = self._is_measured
        if self.renderer.measures_ellipticity:
            zero, unit = ELLIPTICITY
            mean += ((view.orientation.ellipticity - zero) / unit)[:, None] * at_ellipticity
        mean += ((view.winding - WINDING[0]) / WINDING[1])[:, None] * at_winding
        return mean, scale, [*features[::-1], None]

    def infer(self, batch: Mapping[str, tf.Tensor], normal: tf.Tensor,
              progress: tf.Tensor) -> Inference:
        view = self.view(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        conditions = self.conditions(batch)
        mean, scale, features = self._posterior(view, conditions)
        _, normal, detail_noise = tf.split(
            normal, [self.position_angle_size, mean.shape[-1], self.detail_size], axis=-1)
        offsets, vector = tf.split(
            mean + scale * normal, [self.offset_size, self.vector_size], axis=-1)
        structure, posteriors = self.decoder.infer(
            vector, conditions, features, self.maps(detail_noise))
        profiles = self._drawn(structure, view.orientation.latents, offsets, vector, batch)
        pose = self.offset_size
        kl = dict(pose=kl_divergence(mean[:, :pose], scale[:, :pose]),
                  vector=kl_divergence(mean[:, pose:], scale[:, pose:]))
        if posteriors:
            kl["detail"] = tf.add_n([kl_divergence(*posterior) for posterior in posteriors])
        return Inference(profiles, kl, {})

    def encode(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
               columns: Columns) -> tuple[tf.Tensor, tf.Tensor]:
        view = self.view(stamps, psfs, noise_sigma, columns)
        conditions = self.conditions(columns)
        mean, scale, features = self._posterior(view, conditions)
        count = tf.shape(mean)[0]
        _, posteriors = self.decoder.infer(
            mean[:, self.offset_size:], conditions, features,
            self.maps(tf.zeros([count, self.detail_size])))
        details = [[flattened(tensor) for tensor in posterior] for posterior in posteriors]
        measured = view.orientation.latents
        return (tf.concat([measured, mean, *(means for means, _ in details)], axis=-1),
                tf.concat([tf.fill(tf.shape(measured), POSITION_ANGLE_SCALE), scale,
                           *(scales for _, scales in details)], axis=-1))

    # ---- from latents to light ----------------------------------------------------------------

    def decode(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        position_angle_latents, offsets, vector, details = tf.split(
            latent, [self.position_angle_size, self.offset_size, self.vector_size,
                     self.detail_size], axis=-1)
        structure = self.decoder.structure(vector, self.conditions(columns), self.maps(details))
        return self._drawn(structure, position_angle_latents, offsets, vector, columns)

    def generate(self, position_angle_latents: tf.Tensor, shape_latents: tf.Tensor,
                 columns: Columns) -> tf.Tensor:
        galaxies = self._galaxies(position_angle_latents, shape_latents, columns, None)
        return galaxies.at_pixels(self.recipe.stamp.size)

    def generate_on(self, size: int, position_angle_latents: tf.Tensor, shape_latents: tf.Tensor,
                    columns: Columns) -> tf.Tensor:
        # Where pixels are large, the finest structure is not seen.
        levels = sum(rows <= max(SHOWN_ROWS * size, self.decoder.map_shapes[0][0])
                     for rows, *_ in self.decoder.map_shapes)
        galaxies = self._galaxies(position_angle_latents, shape_latents, columns, levels)
        return self.renderer.on_stamp(galaxies, size, columns)

    def extent(self, position_angle_latents: tf.Tensor, vector: tf.Tensor, columns: Columns
               ) -> tf.Tensor:
        return self.renderer.extent(
            self._shape(position_angle_latents, vector, columns), columns)

    def _galaxies(self, position_angle_latents: tf.Tensor, shape_latents: tf.Tensor,
                  columns: Columns, levels: int | None) -> StructuredLight:
        """Galaxies whose centroid, half-light radius and flux are imposed.

        ``levels`` is the number of resolutions of the decoder that are used.
        """
        vector, details = tf.split(shape_latents, [self.vector_size, self.detail_size], axis=-1)
        structure = self.decoder.structure(
            vector, self.conditions(columns), self.maps(details)[:levels])
        return self.renderer.imposed(
            structure, self._shape(position_angle_latents, vector, columns), columns)

    def _drawn(self, structure: tf.Tensor, position_angle_latents: tf.Tensor, offsets: tf.Tensor,
               vector: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Light profiles [N, S, S] of structure [N, R, A] and latents."""
        ln_size, ln_flux = tf.unstack(self.settings.pose_scale * offsets[:, 2:], axis=-1)
        light = self.renderer.light(
            structure, self._shape(position_angle_latents, vector, columns), columns,
            self.recipe.half_light_radius(columns) * tf.exp(ln_size))
        light = dataclasses.replace(light, flux=self.recipe.flux(columns) * tf.exp(ln_flux),
                                    shift=self.settings.shift_scale * offsets[:, :2])
        return light.at_pixels(self.recipe.stamp.size)

    def _shape(self, position_angle_latents: tf.Tensor, vector: tf.Tensor, columns: Columns
               ) -> PolarShape:
        """What the latents say of galaxies besides their structure."""
        return PolarShape(position_angle_latents, ellipticity=vector[:, 0], winding=vector[:, 1],
                          envelope=self.decoder.envelope(vector, self.conditions(columns)))
