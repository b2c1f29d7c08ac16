"""Images in polar coordinates about their centre, where a rotation is a shift of the angle.

Polar coordinates are canonical for rotations (Tai et al. 2019, arXiv:1901.11399; Nishikawa-Toomey
2020, eq. 3).  A map is kept as the coefficients of a Fourier series of the angle at each radius, so
that it can be turned by any angle, exactly.
"""

__all__ = ["PolarGrid"]

import numpy as np
import tensorflow as tf

SAMPLES = 4.0
"""Samples of an image along each circle, in units of the number of harmonics."""


class PolarGrid:
    """The polar grid of square images, and maps on it.

    Angles are position angles: they increase from x, the last axis but one of an image, towards y.
    The grid ends at the circle within the square.

    In the shapes, N is the number of images, S their size, B the number of bands, R the number of
    radii, A the number of angles and H = ``harmonics`` + 1.

    Parameters:
        size:       Pixels S on a side of the images.
        radii:      Number R of radii, from half a step to the circle within the square.
        angles:     Number A of angles; even.
        harmonics:  Highest harmonic of the angle that is kept, below A / 2.

    >>> grid = PolarGrid(16, radii=6, angles=24, harmonics=8)
    >>> y, x = np.indices((16, 16)) - 7.5
    >>> image = np.exp(-0.1 * ((x - 3.0)**2 + y**2))[None, ..., None]
    >>> series = grid.series(tf.constant(image, tf.float32))
    >>> series.shape
    TensorShape([1, 2, 9, 6, 1])
    >>> bool(np.max(np.abs(grid.images(series)[0, ..., 0] - image[0, ..., 0])[4:12, 4:12]) < 0.03)
    True
    """

    def __init__(self, size: int, radii: int, angles: int, harmonics: int) -> None:
        self.size, self.angles, self.harmonics = size, angles, harmonics
        self.step = 0.5 * (size - 1) / radii
        self.radius = self.step * (np.arange(radii) + 0.5)
        self.area = (2 * np.pi * self.step * self.radius).astype(np.float32)
        """Area of the ring of each radius [pixel^2], [R]."""
        self._order = np.arange(harmonics + 1)
        samples = 2 * int(np.ceil(0.5 * SAMPLES * harmonics))
        phi = 2 * np.pi * np.arange(samples) / samples
        x = self.radius[:, None] * np.cos(phi) + 0.5 * (size - 1)
        y = self.radius[:, None] * np.sin(phi) + 0.5 * (size - 1)
        self._pixels, self._pixel_weights = _interpolation(y, x, size, size)
        self._from_samples = self._analysis(samples)
        self._from_angles = self._analysis(angles)
        self._to_angles = self._synthesis(2 * np.pi * np.arange(angles) / angles)
        self._to_pixels()

    def _analysis(self, count: int) -> np.ndarray:
        """From values at so many angles to the coefficients of cosines and sines, [2, H, count]."""
        norm = np.where(self._order == 0, 1.0, 2.0) / count
        phase = self._order[:, None] * 2 * np.pi * np.arange(count) / count
        return (norm[:, None] * np.stack([np.cos(phase), np.sin(phase)])).astype(np.float32)

    def _synthesis(self, angles: np.ndarray) -> np.ndarray:
        """From coefficients to values at some angles [rad], [2, H, number of angles]."""
        phase = self._order[:, None] * angles
        return np.stack([np.cos(phase), np.sin(phase)]).astype(np.float32)

    def _to_pixels(self) -> None:
        """Prepare `images`: from maps at twice as many angles to pixels."""
        count = 2 * self.angles
        y, x = np.indices((self.size, self.size)) - 0.5 * (self.size - 1)
        radius, angle = np.hypot(x, y), np.mod(np.arctan2(y, x), 2 * np.pi)
        self._fine = self._synthesis(2 * np.pi * np.arange(count) / count)
        rows = radius / self.step - 0.5
        self._cells, weights = _interpolation(
            rows, angle * count / (2 * np.pi), len(self.radius), count, wrap=True)
        inside = np.clip(0.5 * self.size - radius, 0.0, 1.0)
        self._cell_weights = (weights * inside[..., None]).astype(np.float32)

    def series(self, images: tf.Tensor) -> tf.Tensor:
        """The Fourier series of images [N, S, S, B]: coefficients [N, 2, H, R, B].

        The second axis has the cosines and the sines.
        """
        bands = images.shape[-1]
        flat = tf.reshape(images, [-1, self.size**2, bands])
        near = tf.gather(flat, self._pixels, axis=1)
        samples = tf.reduce_sum(near * self._pixel_weights[..., None], axis=-2)
        return tf.einsum("pha,nrab->nphrb", self._from_samples, samples)

    def maps(self, series: tf.Tensor) -> tf.Tensor:
        """The values on the polar grid, [N, R, A, B]."""
        return tf.einsum("pha,nphrb->nrab", self._to_angles, series)

    def series_of(self, maps: tf.Tensor) -> tf.Tensor:
        """The series of values on the polar grid [N, R, A, B]; higher harmonics are dropped."""
        return tf.einsum("pha,nrab->nphrb", self._from_angles, maps)

    def turned(self, series: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
        """The series of images that are turned by angles [rad], [N]."""
        phase = (angle[:, None] * self._order.astype(np.float32))[:, :, None, None]
        cosine, sine = series[:, 0], series[:, 1]
        return tf.stack([cosine * tf.cos(phase) - sine * tf.sin(phase),
                         cosine * tf.sin(phase) + sine * tf.cos(phase)], axis=1)

    def images(self, series: tf.Tensor) -> tf.Tensor:
        """Images [N, S, S, B] of a series, zero outside the circle within the square."""
        fine = tf.einsum("pha,nphrb->nrab", self._fine, series)
        flat = tf.reshape(fine, [-1, fine.shape[1] * fine.shape[2], fine.shape[3]])
        near = tf.gather(flat, self._cells, axis=1)
        return tf.reduce_sum(near * self._cell_weights[..., None], axis=-2)

    def square_difference(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """The sum of the squared differences of two images within the circle, over all pixels and
        bands, from their series (Parseval's theorem), [N]."""
        weight = np.where(self._order == 0, 1.0, 0.5)[:, None, None] * self.area[:, None]
        return tf.reduce_sum(np.float32(weight) * tf.square(first - second), axis=[1, 2, 3, 4])


def _interpolation(rows: np.ndarray, columns: np.ndarray, height: int, width: int,
                   wrap: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Cubic interpolation (Keys 1981) of a grid of ``height`` by ``width`` values.

    Parameters:
        rows, columns:  The places, in cells, of one shape.
        height, width:  The size of the grid; places outside it have the value of its edge.
        wrap:           Whether columns are angles and rows radii.

    Returns:
        the numbers of the 16 cells around each place, and their weights: [..., 16] each.
    """
    first_row, first_column = np.floor(rows).astype(int) - 1, np.floor(columns).astype(int) - 1
    cells, weights = [], []
    for i in range(4):
        for j in range(4):
            row, column = first_row + i, first_column + j
            weights.append(_keys(rows - row) * _keys(columns - column))
            if wrap:
                # Beyond the centre is the opposite side.
                column = np.mod(np.where(row < 0, column + width // 2, column), width)
                row = np.where(row < 0, -1 - row, row)
            cells.append(np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1))
    return (np.stack(cells, axis=-1).astype(np.int32),
            np.stack(weights, axis=-1).astype(np.float32))


def _keys(distance: np.ndarray) -> np.ndarray:
    """The kernel of cubic convolution of Keys (1981), with a = -1/2."""
    d = np.abs(distance)
    return np.where(d < 1, (1.5 * d - 2.5) * d**2 + 1,
                    np.where(d < 2, ((-0.5 * d + 2.5) * d - 4) * d + 2, 0.0))
