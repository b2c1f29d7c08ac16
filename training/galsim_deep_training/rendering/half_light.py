"""The factor by which to enlarge a light profile so that it has a given observed half-light radius.

Catalogues list half-light radii as observed, through a PSF. `HalfLight` first tabulates, for one
PSF, which fraction of the light of a point source falls into a circle of radius r, if the source is
at the distance rho from the centre of the circle. With this table it finds the factor for which
half of the light of a profile, as observed, falls into the circle of the given radius.
"""

__all__ = ["FACTORS", "RADII", "RINGS", "SIZES", "HalfLight"]

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .grid import GalaxyGrid

SIZES = np.geomspace(1.0, 48.0, 49)
"""Half-light radii for which the table is made [pixels]."""
RADII = np.linspace(0.0, 160.0, 321)
"""Distances of the light from the centre for which the table is made [pixels]."""
FACTORS = np.geomspace(0.4, 2.5, 28)
"""Factors by which a profile may be enlarged."""
RINGS = 56
"""Rings into which the light of a profile is binned."""
_MAX_OFFSET = 4
"""Largest distance of the centroid from the centre of the grid [cells] without loss of light."""


class HalfLight(keras.layers.Layer):
    """Finds the factor by which to enlarge light profiles to a given observed half-light radius.

    Parameters:
        grids:      The concentric `GalaxyGrid`s of the profiles, the widest first.
        margin:     Width of the edge of the stamp without light [pixels]. Light beyond it is not
                    counted, as in a measurement on the stamp.

    >>> grid = GalaxyGrid(stamp_size=64, cells=32)
    >>> layer = HalfLight([grid])
    >>> layer.adapt(np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]))
    >>> disc = tf.exp(-1.678 * tf.sqrt(grid.x**2 + grid.y**2))[None]
    >>> light = disc / tf.reduce_sum(disc)
    >>> factor = layer([light], centre=tf.zeros([1, 2]), radius=tf.constant([6.0]),
    ...                scale=tf.constant([3.0]))
    >>> round(float(factor[0]), 1)
    2.0
    """

    def __init__(self, grids: Sequence[GalaxyGrid], margin: float = 4.0) -> None:
        super().__init__(name="half_light", dtype="float32")
        self.grids = grids
        self.half_width = 0.5 * grids[0].stamp_size - margin
        # Only the radius of the light matters, so that the four quadrants are added up.
        self.bin_width = 0.5 * grids[0].step
        self.bins = grids[0].cells + 2 * _MAX_OFFSET
        centres = self.bin_width * (np.arange(self.bins) + 0.5)
        self.ring_radii, ring_weights = _rings(np.hypot(centres[:, None], centres).ravel())
        # A tensor, since graphs would store a copy of an array for each use.
        self.ring_weights = tf.constant(ring_weights)
        self.table = self.add_weight(shape=(len(SIZES), len(RADII)), initializer="zeros",
                                     trainable=False, name="table")

    def adapt(self, psf: NDArray) -> None:
        """Compute the table for a PSF.

        Parameters:
            psf:        The PSF through which sizes are observed, [P, P], with P odd and unit sum.
        """
        inside = np.stack([_fraction_inside(psf, size) for size in SIZES])
        angle = np.pi / 2 * (np.arange(512) + 0.5) / 512
        corner = np.maximum(np.cos(angle), np.sin(angle))
        on_stamp = (RADII[:, None] * corner < self.half_width).mean(axis=1)
        # Summed over a profile with its light as weight, the table is positive if more than half of
        # the light on the stamp is inside the circle.
        self.table.assign(2 * inside - on_stamp)

    def call(self, light: Sequence[tf.Tensor], centre: tf.Tensor, radius: tf.Tensor,
             scale: tf.Tensor) -> tf.Tensor:
        """Compute the factors by which to enlarge profiles.

        Parameters:
            light:      Flux in each cell of each grid, [N, C, C] each.
            centre:     Centroids, x and y, from which radii are measured [units of the grids],
                        [N, 2].
            radius:     Wanted half-light radius, as observed [pixels], [N].
            scale:      Pixels in the unit of length of the grids before enlarging, [N].

        Returns:
            factors between 0.4 and 2.5, [N]; the half-light radius is accurate to about 1 %.
        """
        binned = tf.matmul(
            tf.reshape(self._add_quadrants(light, centre), [-1, self.ring_weights.shape[0]]),
            self.ring_weights)
        table_row = _interpolate(self.table, *_locate(tf.math.log(radius), np.log(SIZES)))
        ring_radii = (scale[:, None, None]
                      * tf.constant(FACTORS[:, None] * self.ring_radii, tf.float32))
        excess = tf.reduce_sum(
            _interpolate_rows(table_row, *_locate(ring_radii, RADII)) * binned[:, None], axis=-1)
        # The excess of light inside the circle falls as the profile grows. Its root lies between
        # the last positive value and the next one.
        last = tf.reduce_sum(tf.cast(excess > 0, tf.int32), axis=-1) - 1
        last = tf.clip_by_value(last, 0, len(FACTORS) - 2)
        before = tf.gather(excess, last, batch_dims=1)
        after = tf.gather(excess, last + 1, batch_dims=1)
        fraction = tf.clip_by_value(before / tf.maximum(before - after, 1e-6), 0.0, 1.0)
        factors = tf.constant(np.log(FACTORS)[:, None], tf.float32)
        return tf.exp(_interpolate(factors, last, fraction))[:, 0]

    def _add_quadrants(self, light: Sequence[tf.Tensor], centre: tf.Tensor) -> tf.Tensor:
        """Sum of the four quadrants about the centroid, over all grids, [N, bins, bins]."""
        x, y = (tf.reshape(part, [-1, 1, 1]) for part in tf.unstack(centre, axis=-1))
        bins = tf.range(self.bins, dtype=tf.float32)[:, None]

        def bin_weights(axis: NDArray[np.float32], origin: tf.Tensor) -> tf.Tensor:
            position = tf.nn.relu(tf.abs(axis - origin) / self.bin_width - 0.5)
            return tf.nn.relu(1.0 - tf.abs(bins - position))

        return tf.add_n([
            tf.matmul(tf.matmul(bin_weights(grid.axis, y), light_on_grid),
                      bin_weights(grid.axis, x), transpose_b=True)
            for grid, light_on_grid in zip(self.grids, light, strict=True)])


def _rings(radius: NDArray) -> tuple[NDArray, NDArray[np.float32]]:
    """Radii of the rings, [RINGS], and the fraction of each cell in each ring, [cells, RINGS]."""
    narrow = 2.0  # rings are narrower near the centre, where most of the light is
    top = radius.max() * (1 + 1e-6)
    position = np.arcsinh(radius / top * np.sinh(narrow)) / narrow * (RINGS - 1)
    inner = np.floor(position).astype(int)
    weights = np.zeros((len(radius), RINGS), np.float32)
    cells = np.arange(len(radius))
    weights[cells, inner] = 1 - (position - inner)
    weights[cells, np.minimum(inner + 1, RINGS - 1)] += position - inner
    return top * np.sinh(narrow * np.arange(RINGS) / (RINGS - 1)) / np.sinh(narrow), weights


def _fraction_inside(psf: NDArray, radius: float) -> NDArray:
    """Fraction of the light from each of the `RADII` that a PSF scatters into a circle."""
    distance, weight = _radial_profile(psf)
    angle = np.pi * (np.arange(64) + 0.5) / 64
    rho = RADII[:, None, None]
    arrival = np.sqrt(rho**2 + distance[:, None] ** 2
                      + 2 * rho * distance[:, None] * np.cos(angle))
    inside = np.clip((radius - arrival) / 0.25 + 0.5, 0.0, 1.0).mean(axis=2)
    return inside @ weight


def _radial_profile(psf: NDArray, oversampling: int = 8,
                    width: float = 0.25) -> tuple[NDArray, NDArray]:
    """Distances [pixels] to which a PSF image scatters light, and the fraction of light at each."""
    size = len(psf)
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(psf)))
    pad = (oversampling - 1) * size // 2
    fine = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(np.pad(spectrum, pad))).real)
    y, x = (np.indices(fine.shape) - len(fine) // 2) * (size / len(fine))
    distance = np.hypot(x, y).ravel()
    edges = np.arange(0.0, size / 2, width)
    count = np.maximum(np.histogram(distance, edges)[0], 1)
    weight = np.histogram(distance, edges, weights=fine.ravel())[0]
    return np.histogram(distance, edges, weights=distance)[0] / count, weight / weight.sum()


def _locate(values: tf.Tensor, nodes: NDArray) -> tuple[tf.Tensor, tf.Tensor]:
    """Position of values on evenly spaced nodes: index of the node before, fraction to the next."""
    position = (values - float(nodes[0])) / float(nodes[1] - nodes[0])
    position = tf.clip_by_value(position, 0.0, len(nodes) - 1.001)
    before = tf.floor(position)
    # The index for NaN is undefined; out of range it would fail for the whole batch.
    index = tf.clip_by_value(tf.cast(before, tf.int32), 0, len(nodes) - 2)
    return index, position - before


def _interpolate(table: tf.Tensor, index: tf.Tensor, fraction: tf.Tensor) -> tf.Tensor:
    """Interpolate linearly between the rows of a table: [K, M], [N], [N] -> [N, M]."""
    fraction = fraction[:, None]
    return (1 - fraction) * tf.gather(table, index) + fraction * tf.gather(table, index + 1)


def _interpolate_rows(rows: tf.Tensor, index: tf.Tensor, fraction: tf.Tensor) -> tf.Tensor:
    """Interpolate linearly along each row: [N, M], [N, ...], [N, ...] -> [N, ...]."""
    return ((1 - fraction) * tf.gather(rows, index, batch_dims=1)
            + fraction * tf.gather(rows, index + 1, batch_dims=1))
