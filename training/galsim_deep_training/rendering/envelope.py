"""The smooth light of a galaxy as a sum of Gaussians, whose size and flux are known exactly.

A multi-Gaussian expansion (Emsellem et al. 1994, A&A 285, 723; Cappellari 2002, MNRAS 333, 400,
arXiv:astro-ph/0201430) can have any profile that falls with radius, and an axis ratio that changes
with it, as in a round bulge within an inclined disc.  It is smooth and positive everywhere, its
light ends where its widest Gaussian ends, and the blur by a pixel is a small change of widths.
"""

__all__ = ["Envelope", "SIGMAS", "crossing", "half_light_radius", "radius_at"]

import dataclasses

import numpy as np
import tensorflow as tf

SIGMAS = np.geomspace(0.02, 3.5, 13).astype(np.float32)
"""Standard deviations of the Gaussians along the major axis, in the unit of length of the frame."""
_ANGLE = (np.arange(8) + 0.5) * np.pi / 16
_COS2, _SIN2 = (np.square(f(_ANGLE)).astype(np.float32) for f in (np.cos, np.sin))
_RADII = np.geomspace(0.03, 6.0, 32).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Envelope:
    """The smooth light of N galaxies in their frames, whose x axis is the major axis.

    Attributes:
        weights:    Share of each Gaussian in the flux, [N, K], K as `SIGMAS`.
        ratios:     Minor over major axis of each, [N, K].
        unit:       Pixels in the unit of length of the frame, [N].
        blur:       Standard deviation of the Gaussian that the light is convolved with [pixels].

    >>> weights = tf.one_hot([7], 13)  # one Gaussian
    >>> envelope = Envelope(weights, tf.ones([1, 13]), tf.constant([5.0]))
    >>> sigma = 5.0 * SIGMAS[7]
    >>> x = tf.constant([[0.0, sigma]])
    >>> image = envelope.at(x, 0.0 * x)  # flux per pixel
    >>> bool(abs(image[0, 0] * 2 * np.pi * (sigma**2 + 0.25) - 1) < 1e-5)
    True
    """

    weights: tf.Tensor
    ratios: tf.Tensor
    unit: tf.Tensor
    blur: float = 0.5

    def at(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Flux per pixel at positions relative to the centre [pixels], of any shape [N, ...]."""
        square_x, square_y = tf.square(x), tf.square(y)
        shape = [-1] + [1] * (x.shape.rank - 1)
        major2 = tf.square(self.unit[:, None] * SIGMAS)
        minor2 = major2 * tf.square(self.ratios) + self.blur**2
        major2 += self.blur**2
        amplitude = self.weights * tf.math.rsqrt(major2 * minor2) / (2 * np.pi)
        light = None
        for number in range(len(SIGMAS)):
            along, across, peak = (tf.reshape(values[:, number], shape) for values in (
                -0.5 / major2, -0.5 / minor2, amplitude))
            gaussian = peak * tf.exp(along * square_x + across * square_y)
            light = gaussian if light is None else light + gaussian
        return light

    def extent(self, left_out: float) -> tf.Tensor:
        """Radius of the circle beyond which a share of the light lies [pixels], [N]."""
        radii = np.geomspace(0.5, 3.6 * SIGMAS[-1], 40).astype(np.float32)
        within = _share_within(self.weights, self.ratios, self.blur / self.unit, radii)
        count = tf.reduce_sum(tf.cast(1 - within > left_out, tf.int32), axis=1)
        return self.unit * tf.gather(radii, tf.minimum(count, len(radii) - 1))


def half_light_radius(weights: tf.Tensor, ratios: tf.Tensor, blur: tf.Tensor) -> tf.Tensor:
    """Radius of the circle that holds half of the light of envelopes, in the unit of the frame.

    Parameters:
        weights, ratios:    As of an `Envelope`, [N, K].
        blur:               As of an `Envelope`, but in the unit of the frame, [N].

    Returns:
        [N].

    >>> gaussian = tf.one_hot([7], 13)
    >>> radius = half_light_radius(gaussian, tf.ones([1, 13]), tf.zeros([1]))
    >>> round(float(radius[0] / (1.1774 * SIGMAS[7])), 2)
    1.0
    """
    share = _share_within(weights, ratios, blur, _RADII)
    return radius_at(_RADII, crossing(share, 0.5))


def crossing(values: tf.Tensor, level: tf.Tensor | float) -> tf.Tensor:
    """The place between K growing values at which they reach a level.

    Parameters:
        values:     [N, K].
        level:      One for all, or [N, 1].

    Returns:
        [N], from 0 at the first value to K - 1 at the last, and beyond by extrapolation.

    >>> crossing(tf.constant([[0.0, 1.0, 3.0]]), 2.0).numpy()
    array([1.5], dtype=float32)
    """
    index = tf.clip_by_value(
        tf.reduce_sum(tf.cast(values < level, tf.int32), axis=1), 1, values.shape[1] - 1)
    low, high = (tf.gather(values, index - step, batch_dims=1) for step in (1, 0))
    level = tf.reshape(level, [-1])
    return tf.cast(index - 1, tf.float32) + (level - low) / tf.maximum(high - low, 1e-6)


def radius_at(radii: np.ndarray, place: tf.Tensor) -> tf.Tensor:
    """The radius at places [N] among radii [K] that grow by a constant factor, [N].

    >>> radius_at(np.array([1.0, 4.0]), tf.constant([0.5])).numpy()
    array([2.], dtype=float32)
    """
    return tf.exp(float(np.log(radii[0])) + float(np.log(radii[1] / radii[0])) * place)


def _share_within(weights: tf.Tensor, ratios: tf.Tensor, blur: tf.Tensor, radii: np.ndarray
                  ) -> tf.Tensor:
    """Share of the light of envelopes within circles, [N, radii]; see `half_light_radius`."""
    blur2 = tf.square(blur)[:, None]
    major2 = tf.constant(SIGMAS**2) + blur2
    minor2 = tf.square(SIGMAS * ratios) + blur2
    # In the direction of an eccentric angle, a Gaussian has this variance.
    variance = major2[..., None] * _COS2 + minor2[..., None] * _SIN2
    within = 1 - tf.reduce_mean(
        tf.exp(-0.5 * tf.square(radii) / variance[..., None]), axis=2)
    return tf.einsum("nk,nkr->nr", weights, within)
