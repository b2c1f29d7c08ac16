"""The autoencoder of an envelope and structure on a polar grid.

A galaxy is a smooth envelope times structure.  The envelope is a sum of Gaussians
(`rendering.envelope`): flux, half-light radius and wings are exact for a stamp of any size.  The
structure is a positive map on a polar grid in the frame of the galaxy (`rendering.polar`), whose
columns follow the winding of its arms, and whose mean is one at each radius: spiral arms are
straight columns for the networks, and rings are rows.
"""

__all__ = ["PolarFrameAutoencoder", "PolarFrameSettings"]

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from scipy import optimize

from ....networks.blocks import bounded
from ....networks.conditions import Columns, Conditions
from ....recipe import Recipe
from ....rendering.drawing import round_window
from ....rendering.envelope import SIGMAS, Envelope, half_light_radius
from ....rendering.grid import GalaxyGrid
from ....rendering.orientation import (
    MAX_ELLIPTICITY,
    Orientation,
    measure_orientation,
    orientation_from_latents,
    with_parity,
)
from ....rendering.polar import PolarGrid, bilinear
from ....rendering.structured_light import StructuredLight
from ....rendering.winding import measured_winding
from ....settings import Cells, Channels, Maps, PositivePixels, PositiveShare, Settings
from ...shared.autoencoder import Inference, kl_divergence
from ...shared.signatures import POSITION_ANGLE_SCALE
from ..networks.polar import PolarDecoder, PolarEncoder
from .base import AnySizeAutoencoder, flattened

ELLIPTICITY = 0.25, 0.2
"""Ellipticity of a latent of zero, and for one unit of the latent, without a column of the axis
ratio."""
ELLIPTICITY_APART = 0.1
"""Ellipticity less that of the column of the axis ratio, for one unit of the latent."""
WINDING = 0.7, 0.5
"""Winding of a latent of zero, and for one unit of the latent."""
CONFIDENT = 0.15
"""Confidence of a winding from which on it is used as measured."""
LARGEST_LOG_STRUCTURE = 3.0
"""Largest absolute logarithm of the structure."""
LEFT_OUT = 0.0028
"""Largest share of the light of a galaxy outside of a stamp that fits it."""
MARGIN = 1.02
"""By how much such a stamp is larger than the envelope needs."""
BORDER = 4.0
"""Empty pixels at the edge of such a stamp."""
SHOWN_ROWS = 0.25
"""Rows of the polar grid that a stamp shows, relative to the pixels on its side."""


class PolarFrameSettings(Settings):
    """Settings of the ``polar_frame`` autoencoder.

    >>> settings = PolarFrameSettings(rows=32, maps=(2, 1, 1, 0))
    >>> settings.rows, settings.latent_size
    (32, 24)
    """

    rows: Cells = 64
    """Radii of the polar grid; it has twice as many angles."""
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


@dataclasses.dataclass(frozen=True)
class _View:
    """What the encoder sees of N galaxies, and how they lie in the sky."""

    maps: tf.Tensor
    rings: tf.Tensor
    scalars: tf.Tensor
    orientation: Orientation
    winding: tf.Tensor


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
        self.grid = PolarGrid(rows, 2 * rows)
        self.square = GalaxyGrid(recipe.stamp.size)
        levels = len(settings.channels)
        base = rows // 2 ** (levels - 1)
        self.vector_size = settings.latent_size
        self.encoder = PolarEncoder(settings.latent_size + self.offset_size,
                                    settings.encoder_channels, settings.hidden)
        self.decoder = PolarDecoder((base, 2 * base), settings.channels, settings.maps,
                                    settings.hidden, settings.start, len(SIGMAS) + 2)
        self.networks = dict(encoder=self.encoder, decoder=self.decoder)
        self.detail_shapes = self.decoder.map_shapes
        size = settings.latent_size + self.offset_size
        self._is_measured = np.zeros((2, size), np.float32)
        for number in range(2):
            self._is_measured[number, self.offset_size + number] = 1
        axis_ratio = recipe.column_of("axis_ratio")
        self._axis_ratio = None if axis_ratio is None else axis_ratio.name
        self._disc = _exponential_disc()
        # Structure begins at 0.16 radii, and ends where the grid ends.
        radius = np.exp(self.grid.log_radius)
        taper = np.clip((np.log(radius) - np.log(0.14)) / 0.5, 0, 1) * np.clip(
            (np.log(4.4) - np.log(radius)) / 0.4, 0, 1)
        self._taper = (taper**2 * (3 - 2 * taper)).astype(np.float32)[:, None]

    # ---- from stamps to latents ---------------------------------------------------------------

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
              columns: Columns) -> _View:
        radius, flux = self.recipe.half_light_radius(columns), self.recipe.flux(columns)
        stamps_on_grid, psfs_on_grid = (
            self.square.from_stamp(pixels, radius) for pixels in (stamps, psfs))
        measured = measure_orientation(
            self.square, stamps_on_grid, psfs_on_grid, noise_sigma, radius)
        # The direction of the major axis; the handedness is that of the winding.
        directed = with_parity(self.square, self.square.resample(
            stamps_on_grid, measured.to_sky), measured)
        measured = _without_gradient(Orientation(
            directed.cosine, directed.sine, ellipticity=measured.ellipticity))
        zero = tf.zeros_like(radius)
        if self._axis_ratio is not None:
            # The noise of faint galaxies would make them rounder.
            measured = _without_gradient(Orientation(
                measured.cosine, measured.sine, ellipticity=self._expected_ellipticity(columns)))
        # First without winding, to measure it.
        cells = self._sampled(stamps, measured, radius, zero)
        ring = tf.reduce_mean(cells, axis=2)
        sigma = noise_sigma[:, None]
        weight = tf.nn.relu(ring / sigma)
        weight = weight / (1 + weight)
        floor = tf.maximum(ring, sigma)[..., None]
        winding, confidence = measured_winding(
            self.grid, (cells - ring[..., None]) / floor, weight)
        # Without arms, the handedness is that of the third moments.
        handedness = tf.where(confidence > 1e-3, winding, directed.parity)
        orientation = _without_gradient(Orientation(
            measured.cosine, measured.sine, tf.where(handedness < 0, -1.0, 1.0),
            measured.ellipticity))
        confidence = tf.minimum(confidence / CONFIDENT, 1.0)
        winding = tf.stop_gradient(
            confidence * tf.abs(winding) + (1 - confidence) * WINDING[0])
        cells = self._sampled(stamps, orientation, radius, winding)
        area = (tf.square(radius) / flux)[:, None]
        maps = tf.stack([
            0.3 * tf.asinh(cells / sigma[..., None]),
            0.5 * tf.asinh(20.0 * cells * area[..., None]),
            tf.clip_by_value((cells - ring[..., None]) / floor, -2.0, 4.0)], axis=-1)
        rings = tf.concat([0.5 * tf.asinh(20.0 * ring * area), 0.3 * tf.asinh(ring / sigma)],
                          axis=1)
        width = tf.math.rsqrt(tf.reduce_sum(tf.square(psfs), axis=[1, 2]) + 1e-9)
        scalars = tf.stack([tf.math.log(width / radius),
                            0.2 * tf.math.log(flux / (noise_sigma * radius) + 1e-3),
                            0.5 * tf.math.log(radius)], axis=-1)
        return _View(maps, rings, scalars, orientation, winding)

    def _sampled(self, stamps: tf.Tensor, orientation: Orientation, radius: tf.Tensor,
                 winding: tf.Tensor) -> tf.Tensor:
        """Stamps at the cells of the polar grid, [N, R, A]; zero outside of them."""
        unit = (radius * orientation.major_axis_factor)[:, None, None]
        x, y = self.grid.points(winding)
        x, y = unit * x, unit * y
        minor = orientation.parity * orientation.axis_ratio
        cosine, sine, minor = (values[:, None, None] for values in (
            orientation.cosine, orientation.sine, minor))
        size = stamps.shape[1]
        centre = 0.5 * (size - 1)
        column = centre + cosine * x - sine * minor * y
        row = centre + sine * x + cosine * minor * y
        inside = (tf.abs(column - centre) < centre - 1) & (tf.abs(row - centre) < centre - 1)
        values = bilinear(stamps, tf.clip_by_value(row, 0.0, size - 1.001),
                          tf.clip_by_value(column, 0.0, size - 1.001))
        return tf.where(inside, values, 0.0)

    def _posterior(self, view: _View, conditions: tf.Tensor
                   ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor | None]]:
        mean, scale, features = self.encoder(
            view.maps, view.rings, tf.concat([conditions, view.scalars], axis=-1))
        at_ellipticity, at_winding = self._is_measured
        if self._axis_ratio is None:
            zero, unit = ELLIPTICITY
            mean += ((view.orientation.ellipticity - zero) / unit)[:, None] * at_ellipticity
        mean += ((view.winding - WINDING[0]) / WINDING[1])[:, None] * at_winding
        return mean, scale, [*features[::-1], None]

    def _expected_ellipticity(self, columns: Columns) -> tf.Tensor:
        """The ellipticity of galaxies whose latent of it is zero, [N]."""
        if self._axis_ratio is None:
            return ELLIPTICITY[0] * tf.ones_like(self.recipe.flux(columns))
        ratio = columns[self._axis_ratio]
        return tf.clip_by_value((1 - ratio) / (1 + ratio), 0.0, MAX_ELLIPTICITY)

    def _orientation(self, position_angle_latents: tf.Tensor, vector: tf.Tensor,
                     columns: Columns) -> Orientation:
        """How galaxies lie in the sky, with the ellipticity of their vector."""
        unit = ELLIPTICITY[1] if self._axis_ratio is None else ELLIPTICITY_APART
        return orientation_from_latents(
            position_angle_latents, self._expected_ellipticity(columns) + unit * vector[:, 0])

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
        image = galaxies.at_pixels_in_two_parts(size) * round_window(size, BORDER)
        flux = self.recipe.flux(columns)[:, None, None]
        return image * (flux / tf.reduce_sum(image, axis=[1, 2], keepdims=True))

    def extent(self, position_angle_latents: tf.Tensor, vector: tf.Tensor, columns: Columns
               ) -> tf.Tensor:
        orientation = self._orientation(position_angle_latents, vector, columns)
        radius = self.recipe.half_light_radius(columns)
        # What is imposed on a galaxy with structure changes its size by some per cent.
        return BORDER + MARGIN * self.envelope(
            vector, columns, radius, orientation.axis_ratio).extent(LEFT_OUT)

    def envelope(self, vector: tf.Tensor, columns: Columns, radius: tf.Tensor,
                 axis_ratio: tf.Tensor) -> Envelope:
        """The envelope of galaxies of a half-light radius [pixels]."""
        numbers = self.decoder.envelope(vector, self.conditions(columns))
        weights = tf.nn.softmax(self._disc + 2.0 * numbers[:, :len(SIGMAS)])
        inner, at = tf.unstack(numbers[:, len(SIGMAS):], axis=-1)
        outer = tf.minimum(axis_ratio, 1.5)
        inner = outer + (1 - outer) * tf.sigmoid(2.0 * inner - 1.0)
        blend = tf.sigmoid((np.log(0.3) + bounded(at)[:, None] - np.log(SIGMAS)) / 0.35)
        ratios = outer[:, None] + blend * (inner - outer)[:, None]
        # The blur changes the radius, and its effect depends on the radius.
        unit = radius
        for _ in range(5):
            unit = radius / half_light_radius(weights, ratios, Envelope.blur / unit)
        return Envelope(weights, ratios, unit)

    def _galaxies(self, position_angle_latents: tf.Tensor, shape_latents: tf.Tensor,
                  columns: Columns, levels: int | None) -> StructuredLight:
        """Galaxies whose centroid, half-light radius and flux are imposed.

        ``levels`` is the number of resolutions of the decoder that are used.
        """
        vector, details = tf.split(shape_latents, [self.vector_size, self.detail_size], axis=-1)
        structure = self.decoder.structure(
            vector, self.conditions(columns), self.maps(details)[:levels])
        return self._light(structure, position_angle_latents, vector, columns,
                           self.recipe.half_light_radius(columns)).imposed(
                               self.recipe.flux(columns))

    def _drawn(self, structure: tf.Tensor, position_angle_latents: tf.Tensor, offsets: tf.Tensor,
               vector: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Light profiles [N, S, S] of structure [N, R, A] and latents."""
        ln_size, ln_flux = tf.unstack(self.settings.pose_scale * offsets[:, 2:], axis=-1)
        light = self._light(structure, position_angle_latents, vector, columns,
                            self.recipe.half_light_radius(columns) * tf.exp(ln_size))
        light = dataclasses.replace(light, flux=self.recipe.flux(columns) * tf.exp(ln_flux),
                                    shift=self.settings.shift_scale * offsets[:, :2])
        return light.at_pixels(self.recipe.stamp.size)

    def _light(self, structure: tf.Tensor, position_angle_latents: tf.Tensor, vector: tf.Tensor,
               columns: Columns, radius: tf.Tensor) -> StructuredLight:
        """Galaxies of unit flux whose envelope has a half-light radius [pixels]."""
        orientation = self._orientation(position_angle_latents, vector, columns)
        envelope = self.envelope(vector, columns, radius, orientation.axis_ratio)
        unit = radius * orientation.major_axis_factor
        return StructuredLight(
            self.grid, envelope, self.relief(structure, unit * orientation.axis_ratio),
            orientation, winding=WINDING[0] + WINDING[1] * vector[:, 1], unit=unit)

    def relief(self, structure: tf.Tensor, minor_unit: tf.Tensor) -> tf.Tensor:
        """What the envelope is multiplied by: positive, and of mean one in each ring.

        Parameters:
            structure:      The output of the decoder, [N, R, A].
            minor_unit:     Pixels in the unit of length of the frame along the minor axis, [N].
                            Rings that are smaller than a pixel have no structure.

        Returns:
            [N, R, A].
        """
        rows = self.settings.rows // structure.shape[1]
        taper, radius = (values.reshape(-1, rows, 1).mean(1) for values in (
            self._taper, np.exp(self.grid.log_radius)[:, None]))
        shown = 1 - tf.exp(-0.5 * tf.square(radius * minor_unit[:, None, None]))
        relief = tf.exp(bounded(structure * taper * shown, LARGEST_LOG_STRUCTURE))
        return relief / tf.reduce_mean(relief, axis=2, keepdims=True)


def _without_gradient(orientation: Orientation) -> Orientation:
    return Orientation(*map(tf.stop_gradient, (
        orientation.cosine, orientation.sine, orientation.parity, orientation.ellipticity)))


def _exponential_disc() -> np.ndarray:
    """Log-weights of the Gaussians that make up an exponential disc of half-light radius one."""
    radius = np.geomspace(0.02, 5, 80)
    scale = 1 / 1.6783
    target = np.exp(-radius / scale) / (2 * np.pi * scale**2)
    basis = np.exp(-0.5 * np.square(radius[:, None] / SIGMAS)) / (2 * np.pi * SIGMAS**2)
    weights = optimize.lsq_linear(
        basis / target[:, None], np.ones(len(radius)), bounds=(0, np.inf)).x
    return np.log(np.maximum(weights / weights.sum(), 3e-4)).astype(np.float32)
