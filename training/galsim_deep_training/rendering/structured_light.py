"""The light of galaxies: a smooth envelope times structure on a polar grid."""

__all__ = ["StructuredLight", "check_rows"]

import dataclasses

import numpy as np
import tensorflow as tf

from .envelope import SIGMAS, Envelope, crossing, radius_at
from .orientation import Orientation
from .polar import INNER, OUTER, PolarGrid

CELLS = 16
"""Rows of the coarse polar grid on which light is measured, if there are as many."""
_RADII = np.geomspace(0.5, 2.0, 24).astype(np.float32)
_SOFTNESS = 0.08
"""Width in ln(radius) over which the light of a cell is counted."""


def check_rows(rows: int) -> None:
    """Check that a polar grid of this many rows can be averaged to the coarse one.

    Raises a `ValueError` if it cannot.

    >>> check_rows(48)
    """
    if rows < CELLS // 2 or rows > CELLS and rows % CELLS:
        raise ValueError(f"a polar grid has {CELLS // 2} to {CELLS} rows, or a multiple of "
                         f"{CELLS}, not {rows}")


@dataclasses.dataclass(frozen=True)
class StructuredLight:
    """The light of N galaxies.

    Attributes:
        grid:           The polar grid of the structure, in the frame of the galaxy.
        envelope:       The smooth light, of unit flux.
        relief:         What it is multiplied by, of mean one in each ring, [N, R, A].
        orientation:    How the frames lie in the sky.
        winding:        Of the columns of the relief, [N].
        unit:           Pixels in the unit of length of the frame along the major axis, [N].
        flux:           What the light is multiplied by, [N].
        shift:          Position of the centre along the major axis and across it [pixels], [N, 2].

    >>> orientation = Orientation(tf.ones([1]), tf.zeros([1]))
    >>> envelope = Envelope(tf.one_hot([8], 13), tf.ones([1, 13]), tf.constant([5.0]))
    >>> relief = tf.ones([1, 16, 32])
    >>> light = StructuredLight(PolarGrid(16, 32), envelope, relief, orientation,
    ...                         tf.zeros([1]), tf.constant([5.0]))
    >>> round(float(tf.reduce_sum(light.at_pixels(64))), 3)
    1.0
    """

    grid: PolarGrid
    envelope: Envelope
    relief: tf.Tensor
    orientation: Orientation
    winding: tf.Tensor
    unit: tf.Tensor
    flux: tf.Tensor | float = 1.0
    shift: tf.Tensor | float = 0.0

    def at_pixels(self, size: int) -> tf.Tensor:
        """Draw on stamps about the origin, [N, size, size]: flux per pixel."""
        axis = (np.arange(size) - 0.5 * (size - 1)).astype(np.float32)
        return self._at(axis)

    def at_pixels_in_two_parts(self, size: int) -> tf.Tensor:
        """As `at_pixels`, where the outer half of large stamps is interpolated, in half the time.

        Beyond a quarter of the stamp, every second pixel is computed in each direction.  There the
        cells of the polar grid are several pixels wide.
        """
        if size < 64 or size % 4:
            return self.at_pixels(size)
        half = size // 2
        axis = (np.arange(half) - 0.5 * (half - 1)).astype(np.float32)
        outside = tf.image.resize(self._at(2 * axis)[..., None], [size, size])[..., 0]
        inside = self._at(axis)
        margin = (size - half) // 2
        is_outside = np.pad(np.zeros(half, np.float32), margin, constant_values=1.0)
        return (outside * tf.maximum(is_outside, is_outside[:, None])
                + tf.pad(inside, [[0, 0], [margin, margin], [margin, margin]]))

    def _at(self, axis: np.ndarray) -> tf.Tensor:
        """Draw at the points of a square grid, whose coordinates are ``axis``, [N, s, s]."""
        orientation = self.orientation
        cosine, sine = orientation.cosine[:, None, None], orientation.sine[:, None, None]
        shift = tf.zeros([1, 2]) + self.shift
        x = cosine * axis + sine * axis[:, None] - shift[:, 0, None, None]
        y = -sine * axis + cosine * axis[:, None] - (
            orientation.parity * shift[:, 1])[:, None, None]
        minor = self.unit * orientation.parity * orientation.axis_ratio
        relief = self.grid.at(self.relief, x / self.unit[:, None, None],
                              y / minor[:, None, None], self.winding)
        return self.envelope.at(x, y) * relief * tf.reshape(self.flux, [-1, 1, 1])

    def imposed(self, flux: tf.Tensor) -> "StructuredLight":
        """The same galaxies with a flux [N], and the half-light radius of their envelope.

        The circle that holds half of the light is about the centroid of light, which is moved to
        the origin.  Where structure is brighter along the major axis than across it, it changes
        this radius by up to some per cent.
        """
        light, x, y = self._cells()
        smooth = self._cells(without_relief=True)[0]
        # What lies within the first ring and beyond the last one is not changed by the relief.
        weights = self.envelope.weights
        inside, outside = (
            tf.reduce_sum(weights * share, axis=1, keepdims=True) for share in (
                1 - tf.exp(-0.5 * tf.square(self._in_sigmas(INNER))),
                tf.exp(-0.5 * tf.square(self._in_sigmas(OUTER)))))
        total = tf.reduce_sum(light, axis=1, keepdims=True) + inside + outside
        centre_x = tf.reduce_sum(light * x, axis=1, keepdims=True) / total
        centre_y = tf.reduce_sum(light * y, axis=1, keepdims=True) / total
        radius, smooth_radius = (
            _half_light(cells, tf.square(x - at_x) + tf.square(y - at_y), inside, outside,
                        self.unit / self.orientation.major_axis_factor)
            for cells, at_x, at_y in ((light, centre_x, centre_y), (smooth, 0.0, 0.0)))
        factor = smooth_radius / radius
        return dataclasses.replace(
            self, flux=flux / total[:, 0], unit=self.unit * factor,
            envelope=dataclasses.replace(self.envelope, unit=self.envelope.unit * factor),
            shift=-factor[:, None] * tf.concat(
                [centre_x, self.orientation.parity[:, None] * centre_y], axis=1))

    def _in_sigmas(self, radius: float) -> tf.Tensor:
        """A radius of the polar grid in units of the Gaussians of the envelope, [N, K]."""
        return radius * (self.unit / self.envelope.unit)[:, None] / SIGMAS

    def _cells(self, without_relief: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Flux and position [pixels] of the cells of a coarse grid, [N, cells] each."""
        rows = self.relief.shape[1]
        coarse = PolarGrid(min(rows, CELLS), 2 * min(rows, CELLS))
        x, y = coarse.points(self.winding)
        y *= self.orientation.parity[:, None, None]
        x *= self.unit[:, None, None]
        y *= (self.unit * self.orientation.axis_ratio)[:, None, None]
        area = np.exp(2 * coarse.log_radius)[:, None] * (
            coarse.step * 2 * np.pi / coarse.columns)
        area *= tf.square(self.unit)[:, None, None] * self.orientation.axis_ratio[:, None, None]
        light = self.envelope.at(x, y) * area
        if not without_relief:
            factor = rows // coarse.rows
            light *= tf.nn.avg_pool2d(self.relief[..., None], factor, factor, "VALID")[..., 0]
        cells = coarse.rows * coarse.columns
        return tuple(tf.reshape(values, [-1, cells]) for values in (light, x, y))


def _half_light(light: tf.Tensor, square_radius: tf.Tensor, inside: tf.Tensor,
                outside: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Radius of the circle that holds half of the light of cells, [N].

    Parameters:
        light:          Flux of the cells, [N, cells].
        square_radius:  Square of their distance from the centre, [N, cells].
        inside:         Flux that lies within any of the circles, [N, 1].
        outside:        Flux beyond all of them, [N, 1].
        scale:          About the radius to be found, [N].
    """
    log_radius = 0.5 * tf.math.log(square_radius / tf.square(scale)[:, None] + 1e-8)
    counted = tf.sigmoid((np.log(_RADII)[:, None] - log_radius[:, None]) / _SOFTNESS)
    within = inside + tf.reduce_sum(light[:, None] * counted, axis=2)
    half = 0.5 * (tf.reduce_sum(light, axis=1, keepdims=True) + inside + outside)
    place = tf.clip_by_value(crossing(within, half), 0.0, len(_RADII) - 1.0)
    return scale * radius_at(_RADII, place)
