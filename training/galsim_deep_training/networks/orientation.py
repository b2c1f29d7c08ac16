"""How a galaxy lies on the sky: position angle, elongation, and which of its ends is which.

All are measured on its image by weighted moments.  Seen so that they are undone, galaxies differ by
their morphology alone, which is what networks are to learn.
"""

__all__ = ["LARGEST", "SMALLEST", "Orientation", "measure", "of_latents", "with_ends"]

import numpy as np
import tensorflow as tf

# Widest and narrowest elongation that is undone: an axis ratio of 1/7; some are measured as rounder
# than round where an elongation is drawn from a distribution.
LARGEST, SMALLEST = 0.75, -0.3
# Width of the weight under which moments are taken, in the unit of the frame.
_WIDTH = 1.5


class Orientation:
    """Between the coordinates of a galaxy's own frame and those of the sky, for N galaxies.

    Frame coordinates have the major axis along x and are round.  The larger axis keeps its length:
    sky = R(angle) diag(1, parity q) frame, with the axis ratio q = (1 - g) / (1 + g).

    Parameters:
        cosine, sine:   Of the position angle of the major axis, [N].
        parity:         +1, or -1 for galaxies that are seen in a mirror, [N].  [default: +1]
        elongation:     The reduced shear g = (1 - q) / (1 + q) of the axis ratio q, [N].
                        [default: 0]
    """

    def __init__(self, cosine, sine, parity=None, elongation=None):
        self.cosine, self.sine = cosine, sine
        self.parity = tf.ones_like(cosine) if parity is None else parity
        self.elongation = tf.zeros_like(cosine) if elongation is None else elongation

    @property
    def to_sky(self):
        """The matrix, [N, 2, 2]."""
        across = self.parity * self.axis_ratio
        return _matrix(self.cosine, -self.sine * across, self.sine, self.cosine * across)

    @property
    def upright(self):
        """The inverse of its part that does not stretch, [N, 2, 2]."""
        return _matrix(self.cosine, self.sine,
                       -self.sine * self.parity, self.cosine * self.parity)

    def turned(self, points):
        """Where points [N, 2] of the upright frame, squeezed already, lie on the sky, [N, 2]."""
        x, y = tf.unstack(points, axis=-1)
        y *= self.parity
        return tf.stack([self.cosine * x - self.sine * y, self.sine * x + self.cosine * y], axis=-1)

    def lengthwise(self):
        """The same where the frame's y axis is the longer one on the sky: axes exchanged there.

        So a frame is only ever made narrower, and nothing is pushed beyond its edge.

        Returns:
            (an `Orientation` of elongations that are not negative; where to exchange x and y of
            what is in the frame, bool [N]).
        """
        across = self.elongation < 0

        def exchanged(there, here):
            return tf.where(across, there, here)

        return Orientation(
            exchanged(-self.sine * self.parity, self.cosine),
            exchanged(self.cosine * self.parity, self.sine),
            exchanged(-self.parity, self.parity), tf.abs(self.elongation)), across

    @property
    def latents(self):
        """The numbers that `of_latents` takes, but for the elongation, [N, 3]."""
        return tf.stack([self.cosine, self.sine, self.parity], axis=-1)

    @property
    def axis_ratio(self):
        """[N]."""
        return (1.0 - self.elongation) / (1.0 + self.elongation)

    @property
    def lengthening(self):
        """How much longer the major axis is than the radius of a round galaxy of the same size.

        About, and of half-light radii in a circle: for an axis ratio of 0.2 this is 1.67.
        """
        return 1.0 + self.elongation


def of_latents(turn, elongation=None):
    """The `Orientation` that numbers [N, 3] stand for: cosine, sine and, by its sign, parity.

    Standard normal ones give position angles that are the same everywhere; the first two need not
    be on the unit circle.
    """
    cosine, sine, parity = tf.unstack(turn, axis=-1)
    norm = tf.math.rsqrt(tf.maximum(tf.square(cosine) + tf.square(sine), 1e-12))
    if elongation is not None:
        elongation = tf.clip_by_value(elongation, SMALLEST, LARGEST)
    return Orientation(cosine * norm, sine * norm, tf.where(parity < 0, -1.0, 1.0), elongation)


def measure(frame, images, psfs, noise_sigma, scale):
    """Position angle and elongation of galaxies, the latter about as before the PSF.

    Elongations that noise could have made shrink towards zero (as in a Wiener filter).

    Parameters:
        frame:          A `GalaxyFrame`.
        images, psfs:   In this frame, as they lie on the sky, [N, C, C] each.
        noise_sigma:    Of a pixel, [N].
        scale:          Pixels in the unit of length of the frame, [N].

    Returns:
        an `Orientation` without parity, see `with_ends`.
    """
    focus = np.exp(-0.5 * (frame.x**2 + frame.y**2) / _WIDTH**2).astype(np.float32)
    flux, xx, yy, xy = _moments(frame, focus * images)
    angle = 0.5 * tf.atan2(2 * xy, xx - yy)
    # Signal to noise of the weighted flux; noise is taken as white.
    signal = flux * frame.step**2 * scale / (noise_sigma * _WIDTH * np.pi**0.5)
    flux = tf.maximum(flux, 1e-3 * tf.reduce_max(images, axis=[1, 2]) + 1e-12)
    middle = 0.5 * (xx + yy) / flux
    difference = tf.sqrt(tf.square(0.5 * (xx - yy)) + tf.square(xy)) / flux
    # Of a Gaussian the weight is taken out exactly, and then the PSF, taken as round.
    of_psf, *spread = _moments(frame, focus * psfs)
    blur = _unweighted(0.5 * (spread[0] + spread[1]) / tf.maximum(of_psf, 1e-12))
    long, short = (_unweighted(tf.maximum(middle + sign * difference, 1e-3)) for sign in (1, -1))
    resolved = tf.maximum(long - blur, 0.05 * long) / long
    ratio = tf.sqrt(tf.clip_by_value(
        tf.maximum(short - blur, 0.02 * short) / (long * resolved), 0.0, 1.0))
    found = tf.minimum((1.0 - ratio) / (1.0 + ratio), LARGEST)
    trusted = tf.square(tf.nn.relu(signal) * resolved)
    return Orientation(tf.cos(angle), tf.sin(angle),
                       elongation=found * trusted / (trusted + 50.0))


def with_ends(frame, images, orientation):
    """Decide which end of each axis is which, by third moments.

    Parameters:
        frame:          A `GalaxyFrame`.
        images:         Seen in this frame by that orientation, [N, C, C].
        orientation:    An `Orientation` without parity.

    Returns:
        the `Orientation` with one.
    """
    along, across = (tf.reduce_sum(images * _lopsided(frame, axis), axis=[1, 2])
                     for axis in (frame.x, frame.y))
    end = tf.where(along < 0, -1.0, 1.0)
    parity = tf.where(across * end < 0, -1.0, 1.0)
    return Orientation(orientation.cosine * end, orientation.sine * end, parity,
                       orientation.elongation)


def _lopsided(frame, axis):
    """What to multiply an image with for its third moment along an axis.

    A galaxy that is symmetric but not quite in the middle has none, if it is exponential.
    """
    square = frame.x**2 + frame.y**2
    focus = np.exp(-0.5 * square / _WIDTH**2)
    slope = focus * np.exp(-1.678 * np.sqrt(square)) * axis**2 / np.sqrt(square + 1e-6)
    return (focus * axis * (square - np.sum(slope * square) / np.sum(slope))).astype(np.float32)


def _moments(frame, images):
    """Sum and sums with xx, yy, xy, [N] each."""
    return [tf.reduce_sum(image, axis=[1, 2]) for image in (
        images, images * frame.x**2, images * frame.y**2, images * (frame.x * frame.y))]


def _unweighted(variance):
    """Variance of a Gaussian whose product with the weight has the one given."""
    return 1.0 / tf.maximum(1.0 / tf.maximum(variance, 1e-4) - 1.0 / _WIDTH**2, 0.1)


def _matrix(a, b, c, d):
    return tf.stack([tf.stack([a, b], axis=-1), tf.stack([c, d], axis=-1)], axis=-2)
