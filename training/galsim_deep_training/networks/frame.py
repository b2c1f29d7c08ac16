"""The galaxy's own frame: in units of its half-light radius, turned along its major axis.

A network that works in this frame need not learn that galaxies come in all sizes and at all
position angles; both are put in when a shape is laid on a postage stamp, by interpolation.
"""

__all__ = ["GalaxyFrame"]

import numpy as np
import tensorflow as tf


class GalaxyFrame:
    """A square grid of cells around a galaxy, and the ways between it and a postage stamp.

    Parameters:
        stamp_size:     Pixels S on a side of a stamp.
        cells:          Cells C on a side of the grid.
        reach:          Half the width of the grid, in units of the galaxy's half-light radius.

    Attributes:
        axis:           Coordinates of the cells' middles along one axis, float32 [C].
        step:           Width of a cell, in the same unit.
        x, y:           Coordinates of cells, float32 [1, C] and [C, 1]: as small as can be, since
                        graphs hold a copy for each use.
    """

    def __init__(self, stamp_size, cells=96, reach=4.0):
        self.stamp_size, self.cells, self.reach = stamp_size, cells, float(reach)
        self.step = 2 * self.reach / cells
        self.axis = (self.step * _middles(cells)).astype(np.float32)
        self.x, self.y = self.axis[None, :], self.axis[:, None]

    def to_stamp(self, shapes, scale, shift=None):
        """Lay light profiles on stamps.

        Parameters:
            shapes:     Flux in each cell, [N, C, C].
            scale:      Size of the galaxies' unit of length [pixels], [N].
            shift:      Where the middle of the grid goes, from the middle of the stamp, x and y
                        [pixels], [N, 2].  [default: none, which costs less]

        Returns:
            [N, S, S], flux in each pixel.  The flux is kept but for what falls off the stamp.
        """
        if shift is None:
            rows = columns = self._weights(self.stamp_size, scale, even=True)
        else:
            columns, rows = (self._weights(self.stamp_size, scale, move, even=True)
                             for move in tf.unstack(shift, axis=-1))
        return tf.matmul(tf.matmul(rows, shapes), columns, transpose_b=True)

    def from_stamp(self, images, scale):
        """See images in the galaxies' frames, without turning them.

        Parameters:
            images:     Surface brightness, [N, P, P], of any size.
            scale:      Size of the galaxies' unit of length [pixels], [N].

        Returns:
            surface brightness at each cell in the same unit, [N, C, C]; zero beyond the image.
        """
        weights = self._weights(images.shape[1], scale)
        return tf.matmul(tf.matmul(weights, images, transpose_a=True), weights)

    def squeeze(self, shapes, ratio):
        """Make shapes narrower along y, or wider, without aliasing.

        Parameters:
            shapes:     Flux in each cell, [N, C, C].
            ratio:      New width over old, [N].

        Returns:
            [N, C, C], with the same flux.
        """
        weights = self._weights(self.cells, ratio / self.step, even=True)
        return tf.matmul(weights, shapes)

    def resample(self, images, matrix):
        """Turn, stretch or mirror images: what comes to lie at p was at ``matrix p``.

        Parameters:
            images:     [N, C, C], or [N, C, C, K].
            matrix:     [N, 2, 2], see `Orientation`; one that is NaN leaves its image as it is.

        Returns:
            of the shape of the images, interpolated linearly; zero where nothing was.  There is no
            gradient to the matrix.
        """
        images, matrix = tf.convert_to_tensor(images), _known(matrix)
        middle = 0.5 * (self.cells - 1)
        (a, b), (c, d) = (tf.unstack(row, axis=-1) for row in tf.unstack(matrix, axis=1))
        zeros = tf.zeros_like(a)
        places = tf.stack([a, b, middle - middle * (a + b), c, d, middle - middle * (c + d),
                           zeros, zeros], axis=-1)
        found = tf.raw_ops.ImageProjectiveTransformV3(
            images=images if images.shape.rank == 4 else images[..., None], transforms=places,
            output_shape=[self.cells, self.cells], fill_value=0.0, interpolation="BILINEAR",
            fill_mode="CONSTANT")
        return found if images.shape.rank == 4 else found[..., 0]

    def lay(self, images, matrix):
        """`resample` for images [N, C, C], in operations that compact graphs have: slower."""
        place = (np.arange(self.cells) - 0.5 * (self.cells - 1)).astype(np.float32)
        width = self.cells + 2  # with a margin in which there is nothing
        x, y = (tf.clip_by_value(
            row[:, 0, None, None] * place + row[:, 1, None, None] * place[:, None]
            + 0.5 * (width - 1), 0.0, width - 1.001)
            for row in tf.unstack(_known(matrix), axis=1))
        left, below = tf.floor(x), tf.floor(y)
        x, y = x - left, y - below
        corner = tf.reshape(tf.cast(below, tf.int32) * width + tf.cast(left, tf.int32),
                            [-1, self.cells**2])
        padded = tf.reshape(tf.pad(images, [[0, 0], [1, 1], [1, 1]]), [-1, width**2])

        def at(right, up):
            return tf.reshape(tf.gather(padded, corner + (up * width + right), batch_dims=1),
                              [-1, self.cells, self.cells])

        return ((at(0, 0) * (1 - x) + at(1, 0) * x) * (1 - y)
                + (at(0, 1) * (1 - x) + at(1, 1) * x) * y)

    def _weights(self, size, scale, shift=None, even=False):
        """What each cell adds to each pixel along one axis: [N, size, C].

        The kernel is as wide as a pixel or a cell, whichever is larger, so nothing is aliased in
        either direction.  ``even`` keeps a uniform sheet of light uniform, which a kernel on a
        grid of another pitch alone does not.
        """
        scale = scale[:, None, None]
        pixels = tf.constant(_middles(size), tf.float32)[:, None]
        if shift is not None:
            pixels -= shift[:, None, None]
        cell = scale * self.step
        width = tf.maximum(cell, 1.0)
        weights = _cubic(pixels / width - scale / width * self.axis)
        if not even:
            return weights / width
        total = cell / width * tf.reduce_sum(weights, axis=-1, keepdims=True)
        inside = tf.abs(pixels) < scale * float(self.axis[-1]) - 2.0 * width
        return weights * (1.0 / (width * tf.where(inside, tf.maximum(total, 0.5), 1.0)))


def _known(matrix):
    """Matrices [N, 2, 2] without a gradient; the identity where one is NaN."""
    known = tf.reduce_all(tf.math.is_finite(matrix), axis=[1, 2], keepdims=True)
    return tf.stop_gradient(tf.where(known, matrix, tf.eye(2)))


def _middles(count):
    return np.arange(count) - 0.5 * (count - 1)


def _cubic(x):
    """The cubic convolution kernel of Keys (1981), a = -1/2: unit integral, zero beyond 2.

    Its two pieces, written so that neither has to be selected: this is called on large tensors.
    """
    x = tf.abs(x)
    far, near = tf.nn.relu(2.0 - x), tf.nn.relu(1.0 - x)
    return 0.5 * far * far * (far - 1.0) + near * near * (1.0 - 2.0 * near)
