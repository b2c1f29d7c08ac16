"""Grids in polar coordinates about a galaxy, in which spiral arms are straight.

The rows of a polar grid are equally spaced in ln(radius), its columns in angle.  A logarithmic
spiral is a straight line on it, and a column if the rows are shifted by its winding: ``angle`` then
is the angle on the galaxy minus ``winding * ln(radius)``.
"""

__all__ = ["PolarGrid", "arctan2", "bilinear"]

import numpy as np
import tensorflow as tf

INNER, OUTER = 0.12, 4.5
"""Radii at which the grid begins and ends, in the unit of length of the frame."""


class PolarGrid:
    """A grid of rows of equal radius.

    Parameters:
        rows:       Number of radii R.
        columns:    Number of angles A.

    Attributes:
        log_radius:     Of the rows, float32 [R].
        angle:          Of the columns, float32 [A].

    >>> grid = PolarGrid(8, 16)
    >>> grid.log_radius.shape, round(float(np.exp(grid.log_radius[0])), 2)
    ((8,), 0.15)
    """

    def __init__(self, rows: int = 64, columns: int = 128) -> None:
        self.rows, self.columns = rows, columns
        self.step = float(np.log(OUTER / INNER)) / rows
        self.first = float(np.log(INNER)) + 0.5 * self.step
        self.log_radius = (self.first + self.step * np.arange(rows)).astype(np.float32)
        self.angle = (2 * np.pi / columns * (np.arange(columns) + 0.5)).astype(np.float32)

    def points(self, winding: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Coordinates x, y of the cells in the frames of N galaxies, [N, R, A] each."""
        angle = self.angle + (winding[:, None] * self.log_radius)[..., None]
        radius = np.exp(self.log_radius)[:, None]
        return radius * tf.cos(angle), radius * tf.sin(angle)

    def at(self, maps: tf.Tensor, x: tf.Tensor, y: tf.Tensor, winding: tf.Tensor) -> tf.Tensor:
        """Interpolate maps at points of the frame.

        Parameters:
            maps:       Shape [N, R, A].
            x, y:       Coordinates in the frame, [N, ...].
            winding:    Of the columns of the maps, [N].

        Returns:
            [N, ...]; the first and last row continue to the centre and outwards.
        """
        rows, columns = maps.shape[1], maps.shape[2]
        step = self.step * self.rows / rows
        first = float(np.log(INNER)) + 0.5 * step
        log_radius = 0.5 * tf.math.log(tf.square(x) + tf.square(y) + 1e-8)
        winding = tf.reshape(winding, [-1] + [1] * (x.shape.rank - 1))
        turns = (arctan2(y, x) - winding * log_radius) / (2 * np.pi)
        row = tf.clip_by_value((log_radius - first) / step, 0.0, rows - 1.0001)
        column = columns * (turns - tf.floor(turns)) - 0.5
        # One more column on either side.
        wrapped = tf.concat([maps[:, :, -1:], maps, maps[:, :, :1]], axis=2)
        return bilinear(wrapped, row, column + 1.0)


def arctan2(y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """The angle of points, to 2e-5, several times faster than the exact one in LiteRT.

    By the polynomial 4.4.47 of Abramowitz & Stegun (1964), for the eighth of the circle in which
    the ratio of the coordinates is from 0 to 1.

    >>> x, y = tf.constant([1.0, -1.0, 0.0]), tf.constant([1.0, 0.0, -2.0])
    >>> (arctan2(y, x) / np.pi).numpy().round(4)
    array([ 0.25,  1.  , -0.5 ], dtype=float32)
    """
    along, across = tf.abs(x), tf.abs(y)
    ratio = tf.minimum(along, across) / tf.maximum(tf.maximum(along, across), 1e-12)
    square = tf.square(ratio)
    angle = ratio * (0.9998660 + square * (-0.3302995 + square * (
        0.1801410 + square * (-0.0851330 + square * 0.0208351))))
    angle = tf.where(across > along, 0.5 * np.pi - angle, angle)
    angle = tf.where(x < 0, np.pi - angle, angle)
    return tf.where(y < 0, -angle, angle)


def bilinear(images: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """Interpolate images [N, h, w] at positions within them, [N, ...] each: [N, ...]."""
    width, size = images.shape[2], images.shape[1] * images.shape[2]
    top, left = tf.floor(row), tf.floor(column)
    row, column = row - top, column - left
    # Positions that are not numbers give no number, instead of an index out of range.
    corner = tf.maximum(tf.cast(top, tf.int32) * width + tf.cast(left, tf.int32), 0)
    flat = tf.reshape(images, [-1, size])

    def neighbour(offset: int) -> tf.Tensor:
        return tf.gather(flat, tf.minimum(corner + offset, size - 1), batch_dims=1)

    upper = neighbour(0) + column * (neighbour(1) - neighbour(0))
    lower = neighbour(width) + column * (neighbour(width + 1) - neighbour(width))
    return upper + row * (lower - upper)
