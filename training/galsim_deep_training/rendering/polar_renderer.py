"""Rendering on a polar grid in the frame of the galaxy.

A galaxy is a smooth envelope times structure.  The envelope is a sum of Gaussians
(`rendering.envelope`): flux, half-light radius and wings are exact for a stamp of any size.  The
structure is a positive map on a polar grid in the frame of the galaxy (`rendering.polar`), whose
columns follow the winding of its arms, and whose mean is one at each radius: spiral arms are
straight columns for the networks, and rings are rows.
"""

__all__ = ["PolarRenderer", "PolarShape", "PolarView"]

import dataclasses

import numpy as np
import tensorflow as tf
from scipy import optimize

from ..networks.blocks import bounded
from ..networks.conditions import Columns
from ..recipe import Recipe
from .drawing import round_window
from .envelope import SIGMAS, Envelope, half_light_radius
from .grid import GalaxyGrid
from .orientation import (
    MAX_ELLIPTICITY,
    Orientation,
    measure_orientation,
    orientation_from_latents,
    with_parity,
)
from .polar import PolarGrid, bilinear
from .structured_light import StructuredLight
from .winding import measured_winding

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


@dataclasses.dataclass(frozen=True)
class PolarView:
    """What networks see of N galaxies, and how they lie in the sky.

    Attributes:
        maps:           On the polar grid, [N, R, A, 3]: the light in units of the noise and in
                        units of the flux per square of the half-light radius, both as an inverse
                        hyperbolic sine; the relative difference from the mean of the ring, between
                        -2 and 4.
        rings:          The mean of each ring, in the second of these units and in the first,
                        likewise, [N, 2 R].
        scalars:        Logarithms of the width of the PSF over the half-light radius, of the
                        signal-to-noise ratio and of the size, [N, 3].
        orientation:    How the galaxies lie in the sky.
        winding:        Of the columns of the maps, [N].

    >>> from galsim_deep_training.recipe import read_recipe
    >>> renderer = PolarRenderer(16, read_recipe("training/recipes/acs_flow_vae.yaml"))
    >>> columns = dict(hlr=tf.constant([0.18]), mag_auto=tf.constant([25.94]),
    ...                axis_ratio=tf.constant([0.5]))
    >>> view = renderer.view(tf.ones([1, 64, 64]), tf.ones([1, 9, 9]) / 81, tf.ones([1]), columns)
    >>> view.maps.shape, view.rings.shape, view.winding.shape
    (TensorShape([1, 16, 32, 3]), TensorShape([1, 32]), TensorShape([1]))
    """

    maps: tf.Tensor
    rings: tf.Tensor
    scalars: tf.Tensor
    orientation: Orientation
    winding: tf.Tensor


@dataclasses.dataclass(frozen=True)
class PolarShape:
    """What describes N galaxies besides their structure.

    Attributes:
        position_angle_latents: Cosine and sine of the position angle, and a number whose sign is
                        the handedness, [N, 3].
        ellipticity:    In units of a latent, see `PolarRenderer.orientation`, [N].
        winding:        In units of a latent, see `WINDING`, [N].
        envelope:       The numbers of the envelope, [N, `PolarRenderer.envelope_size`].

    >>> shape = PolarShape(tf.ones([2, 3]), ellipticity=tf.zeros([2]), winding=tf.zeros([2]),
    ...                    envelope=tf.zeros([2, PolarRenderer.envelope_size]))
    >>> shape.envelope.shape
    TensorShape([2, 15])
    """

    position_angle_latents: tf.Tensor
    ellipticity: tf.Tensor
    winding: tf.Tensor
    envelope: tf.Tensor


class PolarRenderer:
    """Shows stamps on a polar grid, and draws galaxies from structure on such a grid.

    If the recipe has a column of the axis ratio, galaxies have that axis ratio, but for a small
    latent; otherwise it is measured.

    Parameters:
        rows:       Radii of the polar grid; it has twice as many angles.
        recipe:     The `Recipe`, with columns for the half-light radius and the magnitude.

    >>> from galsim_deep_training.recipe import read_recipe
    >>> renderer = PolarRenderer(32, read_recipe("training/recipes/acs_flow_vae.yaml"))
    >>> shape = PolarShape(tf.ones([1, 3]), tf.zeros([1]), tf.zeros([1]),
    ...                    tf.zeros([1, renderer.envelope_size]))
    >>> columns = dict(hlr=tf.constant([0.18]), mag_auto=tf.constant([25.94]),
    ...                axis_ratio=tf.constant([0.5]))
    >>> light = renderer.imposed(tf.zeros([1, 32, 64]), shape, columns)
    >>> image = renderer.on_stamp(light, 64, columns)
    >>> image.shape, round(float(tf.reduce_sum(image)), 3)
    (TensorShape([1, 64, 64]), 1.0)
    """

    envelope_size = len(SIGMAS) + 2

    def __init__(self, rows: int, recipe: Recipe) -> None:
        self.recipe = recipe
        self.grid = PolarGrid(rows, 2 * rows)
        self._square = GalaxyGrid(recipe.stamp.size)
        axis_ratio = recipe.column_of("axis_ratio")
        self._axis_ratio = None if axis_ratio is None else axis_ratio.name
        self._disc = _exponential_disc()
        # Structure begins at 0.16 radii, and ends where the grid ends.
        radius = np.exp(self.grid.log_radius)
        taper = np.clip((np.log(radius) - np.log(0.14)) / 0.5, 0, 1) * np.clip(
            (np.log(4.4) - np.log(radius)) / 0.4, 0, 1)
        self._taper = (taper**2 * (3 - 2 * taper)).astype(np.float32)[:, None]

    @property
    def measures_ellipticity(self) -> bool:
        """Whether the ellipticity is measured on stamps, since no column has it."""
        return self._axis_ratio is None

    # ---- from stamps to views -----------------------------------------------------------------

    def view(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
             columns: Columns) -> PolarView:
        """Show observed stamps on the polar grid.

        Parameters:
            stamps:         Observed stamps, [N, S, S], flux per pixel.
            psfs:           Their PSF images, [N, P, P], unit sum.
            noise_sigma:    Standard deviation of the noise in a pixel, [N].
            columns:        Catalogue columns, [N] each.
        """
        radius, flux = self.recipe.half_light_radius(columns), self.recipe.flux(columns)
        stamps_on_grid, psfs_on_grid = (
            self._square.from_stamp(pixels, radius) for pixels in (stamps, psfs))
        measured = measure_orientation(
            self._square, stamps_on_grid, psfs_on_grid, noise_sigma, radius)
        # The direction of the major axis; the handedness is that of the winding.
        directed = with_parity(self._square, self._square.resample(
            stamps_on_grid, measured.to_sky), measured)
        measured = _without_gradient(Orientation(
            directed.cosine, directed.sine, ellipticity=measured.ellipticity))
        zero = tf.zeros_like(radius)
        if not self.measures_ellipticity:
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
        return PolarView(maps, rings, scalars, orientation, winding)

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

    # ---- from numbers to light ----------------------------------------------------------------

    def orientation(self, shape: PolarShape, columns: Columns) -> Orientation:
        """How galaxies lie in the sky.

        The ellipticity is that of the column of the axis ratio plus `ELLIPTICITY_APART` times its
        latent, or without such a column, as `ELLIPTICITY` says.
        """
        unit = ELLIPTICITY[1] if self.measures_ellipticity else ELLIPTICITY_APART
        return orientation_from_latents(
            shape.position_angle_latents,
            self._expected_ellipticity(columns) + unit * shape.ellipticity)

    def _expected_ellipticity(self, columns: Columns) -> tf.Tensor:
        """The ellipticity of galaxies whose latent of it is zero, [N]."""
        if self._axis_ratio is None:
            return ELLIPTICITY[0] * tf.ones_like(self.recipe.flux(columns))
        ratio = columns[self._axis_ratio]
        return tf.clip_by_value((1 - ratio) / (1 + ratio), 0.0, MAX_ELLIPTICITY)

    def envelope(self, numbers: tf.Tensor, radius: tf.Tensor, axis_ratio: tf.Tensor) -> Envelope:
        """The envelope of galaxies of a half-light radius [pixels].

        Parameters:
            numbers:        Output of a network, [N, `envelope_size`]; zero for an exponential disc.
            radius:         [N].
            axis_ratio:     Of the outskirts, [N].
        """
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

    def relief(self, structure: tf.Tensor, minor_unit: tf.Tensor) -> tf.Tensor:
        """What the envelope is multiplied by: positive, and of mean one in each ring.

        Parameters:
            structure:      The output of a network, [N, R, A], or with fewer rows and columns.
            minor_unit:     Pixels in the unit of length of the frame along the minor axis, [N].
                            Rings that are smaller than a pixel have no structure.

        Returns:
            of the same shape as ``structure``.
        """
        rows = self.grid.rows // structure.shape[1]
        taper, radius = (values.reshape(-1, rows, 1).mean(1) for values in (
            self._taper, np.exp(self.grid.log_radius)[:, None]))
        shown = 1 - tf.exp(-0.5 * tf.square(radius * minor_unit[:, None, None]))
        relief = tf.exp(bounded(structure * taper * shown, LARGEST_LOG_STRUCTURE))
        return relief / tf.reduce_mean(relief, axis=2, keepdims=True)

    def light(self, structure: tf.Tensor, shape: PolarShape, columns: Columns, radius: tf.Tensor
              ) -> StructuredLight:
        """Galaxies of unit flux whose envelope has a half-light radius [pixels], [N]."""
        orientation = self.orientation(shape, columns)
        envelope = self.envelope(shape.envelope, radius, orientation.axis_ratio)
        unit = radius * orientation.major_axis_factor
        return StructuredLight(
            self.grid, envelope, self.relief(structure, unit * orientation.axis_ratio),
            orientation, winding=WINDING[0] + WINDING[1] * shape.winding, unit=unit)

    def imposed(self, structure: tf.Tensor, shape: PolarShape, columns: Columns
                ) -> StructuredLight:
        """Galaxies with the half-light radius and the flux of the columns, centred."""
        light = self.light(structure, shape, columns, self.recipe.half_light_radius(columns))
        return light.imposed(self.recipe.flux(columns))

    def on_stamp(self, light: StructuredLight, size: int, columns: Columns) -> tf.Tensor:
        """Draw galaxies on stamps at whose edge there is no light, [N, size, size].

        The sums are the fluxes of the columns.
        """
        image = light.at_pixels_in_two_parts(size) * round_window(size, BORDER)
        flux = self.recipe.flux(columns)[:, None, None]
        return image * (flux / tf.reduce_sum(image, axis=[1, 2], keepdims=True))

    def extent(self, shape: PolarShape, columns: Columns) -> tf.Tensor:
        """Half the side of the stamps that galaxies need [pixels], [N]."""
        radius = self.recipe.half_light_radius(columns)
        axis_ratio = self.orientation(shape, columns).axis_ratio
        # What is imposed on a galaxy with structure changes its size by some per cent.
        return BORDER + MARGIN * self.envelope(
            shape.envelope, radius, axis_ratio).extent(LEFT_OUT)


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
