"""A grid of cells in the frame of a galaxy, and the interpolation to and from postage stamps."""

__all__ = ["GalaxyGrid"]

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


class GalaxyGrid:
    """A square grid of cells around a galaxy, in units of the half-light radius of the galaxy.

    Parameters:
        stamp_size:     Pixels S on a side of a stamp.
        cells:          Cells C on a side of the grid.
        half_width:     Half the width of the grid [half-light radii].

    Attributes:
        step:           Width of a cell [half-light radii].
        axis:           Coordinates of the cell centres along one axis [half-light radii],
                        float32 [C].
        x, y:           The same as arrays that can be broadcast, float32 [1, C] and [C, 1]. They
                        are kept small because graphs store a copy for each use.

    >>> grid = GalaxyGrid(stamp_size=64, cells=4, half_width=2.0)
    >>> grid.axis.tolist()
    [-1.5, -0.5, 0.5, 1.5]
    >>> stamp = grid.to_stamp(tf.fill([1, 4, 4], 1 / 16), scale=tf.constant([5.0]))
    >>> stamp.shape
    TensorShape([1, 64, 64])
    >>> abs(float(tf.reduce_sum(stamp)) - 1.0) < 0.01
    True
    """

    def __init__(self, stamp_size: int, cells: int = 96, half_width: float = 4.0) -> None:
        self.stamp_size, self.cells, self.half_width = stamp_size, cells, float(half_width)
        self.step = 2 * self.half_width / cells
        self.axis: NDArray[np.float32] = (self.step * _centred(cells)).astype(np.float32)
        self.x, self.y = self.axis[None, :], self.axis[:, None]

    def to_stamp(self, light: tf.Tensor, scale: tf.Tensor,
                 shift: tf.Tensor | None = None) -> tf.Tensor:
        """Interpolate light profiles from the grid to the pixels of stamps.

        Parameters:
            light:      Flux in each cell, [N, C, C].
            scale:      Pixels in the unit of length of the grid, [N].
            shift:      Offset of the centre of the grid from the centre of the stamp, x and y
                        [pixels], [N, 2].  [default: no offset, which is faster]

        Returns:
            flux in each pixel, [N, S, S]. The total flux is conserved, except for light that falls
            outside of the stamp.
        """
        if shift is None:
            rows = columns = self._interpolation_weights(
                self.stamp_size, scale, conserve_flux=True)
        else:
            columns, rows = (
                self._interpolation_weights(self.stamp_size, scale, offset, conserve_flux=True)
                for offset in tf.unstack(shift, axis=-1))
        return tf.matmul(tf.matmul(rows, light), columns, transpose_b=True)

    def from_stamp(self, images: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """Interpolate images to the grid, without rotating them.

        Parameters:
            images:     Surface brightness, [N, P, P], with any P.
            scale:      Pixels in the unit of length of the grid, [N].

        Returns:
            surface brightness at each cell in the same unit, [N, C, C]; zero outside of the image.
        """
        weights = self._interpolation_weights(images.shape[1], scale)
        return tf.matmul(tf.matmul(weights, images, transpose_a=True), weights)

    def squeeze(self, light: tf.Tensor, ratio: tf.Tensor) -> tf.Tensor:
        """Compress light profiles along y (or stretch them), with an anti-aliasing kernel.

        Parameters:
            light:      Flux in each cell, [N, C, C].
            ratio:      New width divided by old width, [N].

        Returns:
            [N, C, C], with the same total flux.
        """
        weights = self._interpolation_weights(self.cells, ratio / self.step, conserve_flux=True)
        return tf.matmul(weights, light)

    def resample(self, images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        """Apply a linear coordinate transformation: output(p) = input(``matrix`` p).

        Parameters:
            images:     [N, C, C] or [N, C, C, K].
            matrix:     [N, 2, 2], see `Orientation`. An image whose matrix has NaN is not changed.

        Returns:
            the same shape as ``images``, interpolated bilinearly; zero where the input has no
            pixels. The gradient with respect to the matrix is zero.
        """
        images, matrix = tf.convert_to_tensor(images), _finite_or_identity(matrix)
        centre = 0.5 * (self.cells - 1)
        (a, b), (c, d) = (tf.unstack(row, axis=-1) for row in tf.unstack(matrix, axis=1))
        zeros = tf.zeros_like(a)
        transforms = tf.stack([a, b, centre - centre * (a + b), c, d, centre - centre * (c + d),
                               zeros, zeros], axis=-1)
        resampled = tf.raw_ops.ImageProjectiveTransformV3(
            images=images if images.shape.rank == 4 else images[..., None], transforms=transforms,
            output_shape=[self.cells, self.cells], fill_value=0.0, interpolation="BILINEAR",
            fill_mode="CONSTANT")
        return resampled if images.shape.rank == 4 else resampled[..., 0]

    def resample_portable(self, images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        """As `resample` for images [N, C, C], with operations that compact graphs support.

        LiteRT has no ``ImageProjectiveTransformV3``. This method is slower.
        """
        centred = (np.arange(self.cells) - 0.5 * (self.cells - 1)).astype(np.float32)
        width = self.cells + 2  # with a margin of zeros
        x, y = (tf.clip_by_value(
            row[:, 0, None, None] * centred + row[:, 1, None, None] * centred[:, None]
            + 0.5 * (width - 1), 0.0, width - 1.001)
            for row in tf.unstack(_finite_or_identity(matrix), axis=1))
        left, below = tf.floor(x), tf.floor(y)
        x, y = x - left, y - below
        corner = tf.reshape(tf.cast(below, tf.int32) * width + tf.cast(left, tf.int32),
                            [-1, self.cells**2])
        padded = tf.reshape(tf.pad(images, [[0, 0], [1, 1], [1, 1]]), [-1, width**2])

        def neighbour(right: int, up: int) -> tf.Tensor:
            return tf.reshape(tf.gather(padded, corner + (up * width + right), batch_dims=1),
                              [-1, self.cells, self.cells])

        return ((neighbour(0, 0) * (1 - x) + neighbour(1, 0) * x) * (1 - y)
                + (neighbour(0, 1) * (1 - x) + neighbour(1, 1) * x) * y)

    def _interpolation_weights(self, size: int, scale: tf.Tensor,
                               shift: tf.Tensor | None = None,
                               conserve_flux: bool = False) -> tf.Tensor:
        """Contribution of each cell to each pixel along one axis, [N, size, C].

        The kernel is as wide as a pixel or a cell, whichever is larger, so that there is no
        aliasing in either direction. Between grids of different pitch, such a kernel turns a
        uniform image into one with ripples; ``conserve_flux`` normalises the weights of each pixel
        to prevent this.
        """
        scale = scale[:, None, None]
        pixels = tf.constant(_centred(size), tf.float32)[:, None]
        if shift is not None:
            pixels -= shift[:, None, None]
        cell = scale * self.step
        width = tf.maximum(cell, 1.0)
        weights = _cubic(pixels / width - scale / width * self.axis)
        if not conserve_flux:
            return weights / width
        total = cell / width * tf.reduce_sum(weights, axis=-1, keepdims=True)
        inside = tf.abs(pixels) < scale * float(self.axis[-1]) - 2.0 * width
        return weights * (1.0 / (width * tf.where(inside, tf.maximum(total, 0.5), 1.0)))


def _finite_or_identity(matrix: tf.Tensor) -> tf.Tensor:
    """Matrices [N, 2, 2] without a gradient; the identity in place of one that has NaN."""
    finite = tf.reduce_all(tf.math.is_finite(matrix), axis=[1, 2], keepdims=True)
    return tf.stop_gradient(tf.where(finite, matrix, tf.eye(2)))


def _centred(count: int) -> NDArray[np.floating]:
    """Coordinates of ``count`` points of unit spacing about zero."""
    return np.arange(count) - 0.5 * (count - 1)


def _cubic(x: tf.Tensor) -> tf.Tensor:
    """Cubic convolution kernel of Keys (1981) with a = -1/2: unit integral, zero beyond |x| = 2.

    Reference: Keys 1981, IEEE Trans. ASSP 29, 1153, doi:10.1109/TASSP.1981.1163711, eq. 15. The
    two polynomials are written so that no selection is needed, since the tensors are large.
    """
    x = tf.abs(x)
    outer, inner = tf.nn.relu(2.0 - x), tf.nn.relu(1.0 - x)
    return 0.5 * outer * outer * (outer - 1.0) + inner * inner * (1.0 - 2.0 * inner)
