"""Orientation of a galaxy: position angle, ellipticity and parity, measured by weighted moments.

Networks see galaxies in the frame of the galaxy, in which all have the same orientation, so that
the networks have to learn only the morphology. The *ellipticity* is GalSim's reduced shear
``g = (1 - q) / (1 + q)`` of the axis ratio q. The *parity* is -1 if the frame is a mirror image of
the sky, and +1 otherwise.
"""

__all__ = ["MAX_ELLIPTICITY", "MIN_ELLIPTICITY", "Orientation", "measure_orientation",
           "orientation_from_latents", "with_parity"]

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .grid import GalaxyGrid

MAX_ELLIPTICITY, MIN_ELLIPTICITY = 0.75, -0.3
"""Limits of the ellipticities that are measured or drawn; 0.75 is an axis ratio of 1/7. Drawn
ellipticities may be negative, which means that the galaxy is longer along the y axis of the frame;
measured ones are not negative."""
_WEIGHT_SIGMA = 1.5
"""Sigma of the Gaussian weight of the moments, in the unit of the grid."""


class Orientation:
    """Transformation between the frames of N galaxies and the coordinates of the sky.

    In the frame, the major axis lies along x and galaxies are round. The major axis keeps its
    length: ``sky = R(angle) diag(1, parity * q) frame``, with the rotation R and the axis ratio
    ``q = (1 - g) / (1 + g)``.

    Parameters:
        cosine, sine:   Of the position angle of the major axis, [N].
        parity:         +1, or -1 for galaxies that are mirrored, [N].  [default: +1]
        ellipticity:    Reduced shear g, [N].  [default: 0]

    >>> orientation = Orientation(tf.constant([0.0]), tf.constant([1.0]),
    ...                           ellipticity=tf.constant([1 / 3]))
    >>> orientation.axis_ratio.numpy().round(3)
    array([0.5], dtype=float32)
    >>> orientation.to_sky[0].numpy().round(3)
    array([[ 0. , -0.5],
           [ 1. ,  0. ]], dtype=float32)
    """

    def __init__(self, cosine: tf.Tensor, sine: tf.Tensor, parity: tf.Tensor | None = None,
                 ellipticity: tf.Tensor | None = None) -> None:
        self.cosine, self.sine = cosine, sine
        self.parity = tf.ones_like(cosine) if parity is None else parity
        self.ellipticity = tf.zeros_like(cosine) if ellipticity is None else ellipticity

    @property
    def to_sky(self) -> tf.Tensor:
        """The matrix from frame coordinates to sky coordinates, [N, 2, 2]."""
        minor = self.parity * self.axis_ratio
        return _matrix(self.cosine, -self.sine * minor, self.sine, self.cosine * minor)

    @property
    def rotation_from_sky(self) -> tf.Tensor:
        """The inverse of `to_sky` without the stretching: rotation and parity only, [N, 2, 2]."""
        return _matrix(self.cosine, self.sine,
                       -self.sine * self.parity, self.cosine * self.parity)

    def rotate_to_sky(self, points: tf.Tensor) -> tf.Tensor:
        """Rotate (and mirror) points from the frame to the sky, without stretching, [N, 2]."""
        x, y = tf.unstack(points, axis=-1)
        y *= self.parity
        return tf.stack([self.cosine * x - self.sine * y, self.sine * x + self.cosine * y], axis=-1)

    def with_major_axis_along_x(self) -> tuple["Orientation", tf.Tensor]:
        """Express negative ellipticities as positive ones of a frame with exchanged axes.

        Light then only has to be compressed along y, never stretched, so that nothing is moved
        beyond the edge of its grid.

        Returns:
            (the equivalent `Orientation` without negative ellipticities; for which galaxies x and y
            of the light in the frame have to be exchanged, bool [N]).
        """
        exchange = self.ellipticity < 0

        def choose(exchanged: tf.Tensor, unchanged: tf.Tensor) -> tf.Tensor:
            return tf.where(exchange, exchanged, unchanged)

        return Orientation(
            choose(-self.sine * self.parity, self.cosine),
            choose(self.cosine * self.parity, self.sine),
            choose(-self.parity, self.parity), tf.abs(self.ellipticity)), exchange

    @property
    def latents(self) -> tf.Tensor:
        """The position-angle latents, inverse to `orientation_from_latents`, [N, 3]."""
        return tf.stack([self.cosine, self.sine, self.parity], axis=-1)

    @property
    def axis_ratio(self) -> tf.Tensor:
        """Minor over major axis, q, [N]."""
        return (1.0 - self.ellipticity) / (1.0 + self.ellipticity)

    @property
    def major_axis_factor(self) -> tf.Tensor:
        """Major axis in units of the radius of a round galaxy of the same half-light radius, [N].

        This is an approximation, 1 + g, for half-light radii measured in circular apertures: an
        axis ratio of 0.2 gives 1.67.
        """
        return 1.0 + self.ellipticity


def orientation_from_latents(position_angle_latents: tf.Tensor,
                             ellipticity: tf.Tensor | None = None) -> Orientation:
    """Convert latents to an `Orientation`.

    Standard normal latents give isotropic position angles and both parities with equal
    probability.

    Parameters:
        position_angle_latents:     Two numbers proportional to cosine and sine of the position
                                    angle, and one whose sign is the parity, [N, 3].
        ellipticity:                Reduced shear, [N], limited to `MIN_ELLIPTICITY` to
                                    `MAX_ELLIPTICITY`.  [default: 0]

    >>> orientation = orientation_from_latents(tf.constant([[3.0, 4.0, -0.2]]))
    >>> orientation.latents.numpy().round(3)
    array([[ 0.6,  0.8, -1. ]], dtype=float32)
    """
    cosine, sine, parity = tf.unstack(position_angle_latents, axis=-1)
    norm = tf.math.rsqrt(tf.maximum(tf.square(cosine) + tf.square(sine), 1e-12))
    if ellipticity is not None:
        ellipticity = tf.clip_by_value(ellipticity, MIN_ELLIPTICITY, MAX_ELLIPTICITY)
    return Orientation(cosine * norm, sine * norm, tf.where(parity < 0, -1.0, 1.0), ellipticity)


def measure_orientation(grid: GalaxyGrid, images: tf.Tensor, psfs: tf.Tensor,
                        noise_sigma: tf.Tensor, scale: tf.Tensor) -> Orientation:
    """Measure position angle and ellipticity of galaxies by Gaussian-weighted second moments.

    The ellipticity is approximately that before the PSF. It is shrunk towards zero if noise
    dominates, as by a Wiener filter.

    Parameters:
        grid:           A `GalaxyGrid`.
        images, psfs:   Stamps and PSFs on this grid, not rotated, [N, C, C] each.
        noise_sigma:    Standard deviation of the noise in a pixel of the stamp, [N].
        scale:          Pixels in the unit of length of the grid, [N].

    Returns:
        an `Orientation` without parity, whose position angle is known up to 180 degrees; see
        `with_parity`.

    >>> grid = GalaxyGrid(64, cells=48)
    >>> galaxy = tf.exp(-0.5 * (grid.x**2 + 4 * grid.y**2))[None]
    >>> psf = tf.exp(-50.0 * (grid.x**2 + grid.y**2))[None]
    >>> measured = measure_orientation(grid, galaxy, psf, tf.constant([1e-4]), tf.constant([8.0]))
    >>> round(float(measured.ellipticity[0]), 2)  # 1/3 for an axis ratio of 1/2
    0.34
    """
    weight = np.exp(-0.5 * (grid.x**2 + grid.y**2) / _WEIGHT_SIGMA**2).astype(np.float32)
    flux, xx, yy, xy = _moments(grid, weight * images)
    angle = 0.5 * tf.atan2(2 * xy, xx - yy)
    # Signal-to-noise ratio of the weighted flux, for white noise.
    signal = flux * grid.step**2 * scale / (noise_sigma * _WEIGHT_SIGMA * np.pi**0.5)
    flux = tf.maximum(flux, 1e-3 * tf.reduce_max(images, axis=[1, 2]) + 1e-12)
    mean = 0.5 * (xx + yy) / flux
    half_difference = tf.sqrt(tf.square(0.5 * (xx - yy)) + tf.square(xy)) / flux
    # The effect of the weight is removed exactly for Gaussian profiles; then the PSF, taken as
    # round, is removed.
    psf_flux, psf_xx, psf_yy, _ = _moments(grid, weight * psfs)
    psf_variance = _unweighted(0.5 * (psf_xx + psf_yy) / tf.maximum(psf_flux, 1e-12))
    major, minor = (_unweighted(tf.maximum(mean + sign * half_difference, 1e-3))
                    for sign in (1, -1))
    resolution = tf.maximum(major - psf_variance, 0.05 * major) / major
    axis_ratio = tf.sqrt(tf.clip_by_value(
        tf.maximum(minor - psf_variance, 0.02 * minor) / (major * resolution), 0.0, 1.0))
    ellipticity = tf.minimum((1.0 - axis_ratio) / (1.0 + axis_ratio), MAX_ELLIPTICITY)
    significance = tf.square(tf.nn.relu(signal) * resolution)
    return Orientation(tf.cos(angle), tf.sin(angle),
                       ellipticity=ellipticity * significance / (significance + 50.0))


def with_parity(grid: GalaxyGrid, images: tf.Tensor, orientation: Orientation) -> Orientation:
    """Determine the direction of each axis by third moments.

    Parameters:
        grid:           A `GalaxyGrid`.
        images:         Galaxies in the frame of ``orientation``, [N, C, C].
        orientation:    An `Orientation` without parity.

    Returns:
        the `Orientation` with parity and with a position angle that is known up to 360 degrees: in
        its frame, the skewness along both axes is positive.

    >>> grid = GalaxyGrid(64, cells=48)
    >>> galaxy = tf.exp(-0.5 * (grid.x**2 + grid.y**2))
    >>> galaxy += 0.2 * tf.exp(-4 * ((grid.x + 1.5) ** 2 + (grid.y - 1) ** 2))
    >>> upright = Orientation(tf.constant([1.0]), tf.constant([0.0]))
    >>> with_parity(grid, galaxy[None], upright).latents.numpy()
    array([[-1., -0., -1.]], dtype=float32)
    """
    along, across = (tf.reduce_sum(images * _third_moment_weight(grid, axis), axis=[1, 2])
                     for axis in (grid.x, grid.y))
    direction = tf.where(along < 0, -1.0, 1.0)
    parity = tf.where(across * direction < 0, -1.0, 1.0)
    return Orientation(orientation.cosine * direction, orientation.sine * direction, parity,
                       orientation.ellipticity)


def _third_moment_weight(grid: GalaxyGrid, axis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight whose sum with an image is its third moment along an axis, [C, C].

    A term proportional to the first moment is subtracted, such that a symmetric exponential galaxy
    that is slightly off the centre has no third moment.
    """
    square = grid.x**2 + grid.y**2
    weight = np.exp(-0.5 * square / _WEIGHT_SIGMA**2)
    derivative = (weight * np.exp(-1.678 * np.sqrt(square)) * axis**2
                  / np.sqrt(square + 1e-6))
    mean_square = np.sum(derivative * square) / np.sum(derivative)
    return (weight * axis * (square - mean_square)).astype(np.float32)


def _moments(grid: GalaxyGrid, images: tf.Tensor) -> list[tf.Tensor]:
    """Sums of images [N, C, C] times 1, xx, yy and xy, [N] each."""
    return [tf.reduce_sum(image, axis=[1, 2]) for image in (
        images, images * grid.x**2, images * grid.y**2, images * (grid.x * grid.y))]


def _unweighted(variance: tf.Tensor) -> tf.Tensor:
    """Variance of the Gaussian whose product with the weight has the given variance."""
    return 1.0 / tf.maximum(1.0 / tf.maximum(variance, 1e-4) - 1.0 / _WEIGHT_SIGMA**2, 0.1)


def _matrix(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
    """Matrices [[a, b], [c, d]] of elements [N]: [N, 2, 2]."""
    return tf.stack([tf.stack([a, b], axis=-1), tf.stack([c, d], axis=-1)], axis=-2)
