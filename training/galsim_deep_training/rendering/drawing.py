"""Conversion of network outputs in the frame of the galaxy to light profiles on postage stamps."""

__all__ = ["Drawing", "Pose", "edge_window", "round_window"]

import dataclasses
import itertools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..networks.blocks import softplus
from .grid import GalaxyGrid
from .half_light import HalfLight
from .orientation import Orientation


@dataclasses.dataclass(frozen=True, eq=False)
class Pose:
    """Placement of N galaxies on their stamps.

    >>> orientation = Orientation(cosine=tf.ones([3]), sine=tf.zeros([3]))
    >>> Pose(orientation, shift=tf.zeros([3, 2])).ln_flux
    0.0
    """

    orientation: Orientation
    """Position angle, ellipticity and parity."""
    shift: tf.Tensor | float = 0.0
    """Offset of the centroid from the centre of the stamp, x and y [pixels], [N, 2]."""
    ln_size: tf.Tensor | float = 0.0
    """Natural logarithm of the half-light radius over that of the catalogue, [N]."""
    ln_flux: tf.Tensor | float = 0.0
    """Natural logarithm of the flux over that of the catalogue, [N]."""


class Drawing(keras.layers.Layer):
    """Draws positive light profiles whose centroid, half-light radius and flux are imposed.

    The light of a galaxy is given on nested concentric grids: a coarse one for the whole galaxy and
    finer ones for its centre. Smooth windows blend one grid into the next.

    Parameters:
        grids:          `GalaxyGrid`s, the widest first.
        psf_radius:     Half-light radius of the PSF through which sizes are observed [pixels]; zero
                        for sizes before the PSF.

    >>> grid = GalaxyGrid(stamp_size=48, cells=32)
    >>> drawing = Drawing([grid], psf_radius=2.5)
    >>> drawing.half_light.adapt(np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]))
    >>> light = drawing.to_light([tf.zeros([1, 32, 32])])
    >>> pose = Pose(Orientation(cosine=tf.ones([1]), sine=tf.zeros([1])))
    >>> stamp = drawing.draw(light, pose, radius=tf.constant([6.0]), flux=tf.constant([100.0]))
    >>> round(float(tf.reduce_sum(stamp)), 2)
    100.0
    """

    _disc = 1.6783469900166605
    """Half-light radius of an exponential disc in units of its scale length."""

    def __init__(self, grids: Sequence[GalaxyGrid], psf_radius: float) -> None:
        super().__init__(name="drawing", dtype="float32")
        self.grids = grids
        self.half_light = HalfLight(grids)
        self.psf_variance = float(psf_radius) ** 2
        self.envelopes: list[NDArray[np.float32]] = []
        self.windows: list[NDArray[np.float32]] = []
        for grid, inner_grid in itertools.zip_longest(grids, grids[1:]):
            radius = np.hypot(grid.x, grid.y)
            self.envelopes.append((-self._disc * radius + 2 * np.log(self._disc)
                                   - np.log(2 * np.pi)).astype(np.float32))
            window = grid.step**2 * _taper(radius, grid, grids)
            if inner_grid is not None:
                window *= 1.0 - _taper(radius, inner_grid, grids)
            self.windows.append(window.astype(np.float32))
        self.edge = edge_window(grids[0].stamp_size)

    def intrinsic_radius(self, radius: tf.Tensor) -> tf.Tensor:
        """Approximate half-light radius before the PSF, for an observed half-light radius.

        The half-light radius of the PSF is subtracted in quadrature.

        Parameters:
            radius:     Observed half-light radius [pixels], [N].

        Returns:
            [N] [pixels]; positive even for radii smaller than that of the PSF.
        """
        return tf.sqrt(tf.maximum(
            tf.square(radius) - self.psf_variance, 0.5 + 0.02 * tf.square(radius)))

    def to_light(self, outputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Convert network outputs to positive light profiles.

        The total is one; `draw` scales it to the catalogue flux.

        Outputs of zero give nearly an exponential disc of unit half-light radius: the light is
        ``softplus(output + ln(surface brightness of the disc))``, times the window of the grid.

        Parameters:
            outputs:    Real numbers on each grid, [N, C, C] each.

        Returns:
            flux in each cell of each grid, [N, C, C] each; the sum over all grids is one.
        """
        light = [window * softplus(output + envelope) for window, output, envelope
                 in zip(self.windows, outputs, self.envelopes, strict=True)]
        total = tf.add_n([tf.reduce_sum(part, axis=[1, 2], keepdims=True) for part in light])
        return [part / total for part in light]

    def draw(self, light: Sequence[tf.Tensor], pose: Pose, radius: tf.Tensor,
             flux: tf.Tensor) -> tf.Tensor:
        """Draw light profiles on stamps.

        Parameters:
            light:      Flux in each cell of each grid, [N, C, C] each; see `to_light`.
            pose:       A `Pose`.
            radius:     Half-light radius according to the catalogue, as observed [pixels], [N].
            flux:       Flux according to the catalogue, [N].

        Returns:
            light profiles before PSF and pixel, [N, S, S]: not negative, zero at the edge of the
            stamp, and with the given flux as their sum.
        """
        orientation, exchange = pose.orientation.with_major_axis_along_x()
        exchange = exchange[:, None, None]
        light = [grid.squeeze(tf.where(exchange, tf.transpose(part, [0, 2, 1]), part),
                              orientation.axis_ratio)
                 for grid, part in zip(self.grids, light, strict=True)]
        centre = tf.add_n([tf.stack([tf.reduce_sum(part * grid.x, axis=[1, 2]),
                                     tf.reduce_sum(part * grid.y, axis=[1, 2])], axis=-1)
                           for grid, part in zip(self.grids, light, strict=True)])
        scale = self.intrinsic_radius(radius) * orientation.major_axis_factor
        scale *= self.half_light(light, centre, radius, scale) * tf.exp(pose.ln_size)
        shift = pose.shift - scale[:, None] * orientation.rotate_to_sky(centre)
        profiles = tf.add_n([
            grid.to_stamp(grid.resample_portable(part, orientation.rotation_from_sky), scale, shift)
            for grid, part in zip(self.grids, light, strict=True)])
        # The interpolation kernel has negative lobes, which are visible next to sharp peaks.
        profiles = tf.nn.relu(profiles)
        profiles *= tf.constant(self.edge)[:, None] * self.edge
        total = tf.reduce_sum(profiles, axis=[1, 2])
        return profiles * (flux * tf.exp(pose.ln_flux) / total)[:, None, None]


def _taper(radius: NDArray, grid: GalaxyGrid, grids: Sequence[GalaxyGrid]) -> NDArray:
    """Window of a grid: one at its centre, falling to zero at its half width.

    The widest grid is tapered in its outer eighth only. Without taper, profiles would show the
    square outline of the grid.
    """
    width = 0.12 if grid is grids[0] else 0.3
    position = np.clip((radius / grid.half_width - 1 + width) / width, 0.0, 1.0)
    return np.cos(0.5 * np.pi * position) ** 2 * (position < 1)


def edge_window(size: int, width: int = 8) -> NDArray[np.float32]:
    """Window that falls as a squared sine to exactly zero on the outermost pixels.

    Parameters:
        size:       Pixels S on a side.
        width:      Pixels over which the window rises from zero to one.

    Returns:
        float32 [S].

    >>> edge_window(9, width=2)
    array([0. , 0.5, 1. , 1. , 1. , 1. , 1. , 0.5, 0. ], dtype=float32)
    """
    edge = np.minimum(np.arange(size), np.arange(size)[::-1])
    return (np.sin(0.5 * np.pi * np.minimum(edge / width, 1.0)) ** 2).astype(np.float32)


def round_window(size: int, border: float = 0.0, inner: float = 0.85) -> tf.Tensor:
    """Window that falls as a squared sine with the distance from the centre of a stamp.

    Parameters:
        size:       Pixels S on a side.
        border:     Pixels at the edge where it is zero, besides the outermost ones.
        inner:      Radius up to which it is one, relative to that at which it is zero.

    Returns:
        float32 [S, S]; zero on the outermost pixels.

    >>> round_window(8)[4].numpy().round(2)
    array([0., 1., 1., 1., 1., 1., 1., 0.], dtype=float32)
    """
    # A tensor that is computed: a constant of this size would be stored in each graph.
    axis = tf.range(size, dtype=tf.float32) - 0.5 * (size - 1)
    radius = tf.sqrt(tf.square(axis) + tf.square(axis[:, None])) / (0.5 * (size - 1) - border)
    falling = tf.clip_by_value((1 - radius) / (1 - inner), 0.0, 1.0)
    return tf.square(tf.sin(0.5 * np.pi * falling))
