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
        x, y:           Coordinates of every cell, float32 [C, C].
    """

    def __init__(self, stamp_size, cells=96, reach=5.0):
        self.stamp_size, self.cells, self.reach = stamp_size, cells, float(reach)
        self.step = 2 * self.reach / cells
        self.axis = (self.step * _middles(cells)).astype(np.float32)
        self.x, self.y = np.meshgrid(self.axis, self.axis)

    def to_stamp(self, shapes, scale, shift):
        """Lay light profiles on stamps.

        Parameters:
            shapes:     Flux in each cell, [N, C, C].
            scale:      Size of the galaxies' unit of length [pixels], [N].
            shift:      Where the middle of the grid goes, from the middle of the stamp, x and y
                        [pixels], [N, 2].

        Returns:
            [N, S, S], flux in each pixel.  The flux is kept but for what falls off the stamp.
        """
        columns = self._weights(self.stamp_size, scale, shift[:, 0], even=True)
        rows = self._weights(self.stamp_size, scale, shift[:, 1], even=True)
        return tf.matmul(tf.matmul(rows, shapes), columns, transpose_b=True)

    def from_stamp(self, images, scale):
        """See images in the galaxies' frames, without turning them.

        Parameters:
            images:     Surface brightness, [N, P, P], of any size.
            scale:      Size of the galaxies' unit of length [pixels], [N].

        Returns:
            surface brightness at each cell in the same unit, [N, C, C]; zero beyond the image.
        """
        weights = self._weights(images.shape[1], scale, tf.zeros_like(scale))
        return tf.matmul(tf.matmul(weights, images, transpose_a=True), weights)

    def turn(self, images, cosine, sine, centre=None):
        """Turn images: what lies along the direction (cosine, sine) comes to lie along x.

        Parameters:
            images:         [N, C, C].
            cosine, sine:   Of the position angle, [N] each.  With the sign of the sine reversed
                            this is the way back.
            centre:         The point that becomes the middle, x and y in the frame's unit, [N, 2].
                            [default: the middle]

        Returns:
            [N, C, C], interpolated linearly; zero where nothing was.
        """
        middle = 0.5 * (self.cells - 1)
        move = middle * (1.0 - tf.stack([cosine - sine, sine + cosine], axis=-1))
        if centre is not None:
            move += centre / self.step
        nothing = tf.zeros_like(cosine)
        transforms = tf.stack([cosine, -sine, move[:, 0], sine, cosine, move[:, 1],
                               nothing, nothing], axis=-1)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images[..., None], transforms=transforms,
            output_shape=[self.cells, self.cells], fill_value=0.0, interpolation="BILINEAR",
            fill_mode="CONSTANT")[..., 0]

    def _weights(self, size, scale, shift, even=False):
        """What each cell adds to each pixel along one axis: [N, size, C].

        The kernel is as wide as a pixel or a cell, whichever is larger, so nothing is aliased in
        either direction.  ``even`` keeps a uniform sheet of light uniform, which a kernel on a
        grid of another pitch alone does not.
        """
        scale = scale[:, None, None]
        pixels = tf.constant(_middles(size), tf.float32)[:, None] - shift[:, None, None]
        cell = scale * self.step
        width = tf.maximum(cell, 1.0)
        weights = _cubic((pixels - scale * self.axis) / width) / width
        if not even:
            return weights
        total = cell * tf.reduce_sum(weights, axis=-1, keepdims=True)
        inside = tf.abs(pixels) < scale * float(self.axis[-1]) - 2.0 * width
        return weights / tf.where(inside, tf.maximum(total, 0.5), 1.0)


def _middles(count):
    return np.arange(count) - 0.5 * (count - 1)


def _cubic(x):
    """The cubic convolution kernel of Keys (1981), a = -1/2: unit integral, zero beyond 2."""
    x = tf.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, tf.where(x < 2.0, far, tf.zeros_like(x)))
