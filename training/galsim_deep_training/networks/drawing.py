"""From the numbers of a network in the galaxy's frame to a light profile on a postage stamp."""

__all__ = ["Drawing", "Pose", "edge_window"]

import keras
import numpy as np
import tensorflow as tf

from .half_light import HalfLight


class Pose:
    """How a shape is laid on the stamp, for each of N galaxies.

    Parameters:
        cosine, sine:   Of the position angle, [N].
        shift:          Of the centroid from the middle of the stamp, x and y [pixels], [N, 2].
                        [default: none]
        ln_size:        Logarithm of half-light radius over the asked one, [N].  [default: 0]
        ln_flux:        Logarithm of flux over the asked one, [N].  [default: 0]
    """

    def __init__(self, cosine, sine, shift=None, ln_size=None, ln_flux=None):
        nothing = tf.zeros_like(cosine)
        self.cosine, self.sine = cosine, sine
        self.shift = tf.stack([nothing, nothing], axis=-1) if shift is None else shift
        self.ln_size = nothing if ln_size is None else ln_size
        self.ln_flux = nothing if ln_flux is None else ln_flux


class Drawing(keras.layers.Layer):
    """Positive shapes with their centroid, size and flux exactly as asked for.

    Parameters:
        frame:          A `GalaxyFrame`.
        psf_radius:     Half-light radius of the PSF that sizes were measured through [pixels].
    """

    # Half-light radius over scale length of an exponential disc.
    _disc = 1.6783469900166605

    def __init__(self, frame, psf_radius):
        super().__init__(name="drawing")
        self.frame = frame
        self.half_light = HalfLight(frame)
        self.psf_variance = float(psf_radius) ** 2
        radius = np.hypot(frame.x, frame.y)
        self.envelope = (-self._disc * radius
                         + 2 * np.log(self._disc) - np.log(2 * np.pi)).astype(np.float32)
        # To zero in the outer eighth: a shape that is cut off would show its frame.
        fade = np.clip((radius / frame.reach - 0.88) / 0.12, 0.0, 1.0)
        self.window = (np.cos(0.5 * np.pi * fade) ** 2 * (fade < 1)).astype(np.float32)
        self.edge = edge_window(frame.stamp_size)

    def scale(self, size):
        """About the half-light radius before PSF [pixels] of a galaxy of the observed one, [N]."""
        return tf.sqrt(tf.maximum(
            tf.square(size) - self.psf_variance, 0.5 + 0.02 * tf.square(size)))

    def shape(self, numbers):
        """Numbers [N, C, C] -> shapes [N, C, C], positive, summing to one.

        Where the network says zero this is an exponential disc of unit half-light radius.
        """
        light = self.window * tf.nn.softplus(numbers + self.envelope)
        return light / tf.reduce_sum(light, axis=[1, 2], keepdims=True)

    def draw(self, shape, pose, size, flux):
        """Lay shapes on stamps.

        Parameters:
            shape:      [N, C, C], summing to one.
            pose:       A `Pose`.
            size:       Asked half-light radius, as observed [pixels], [N].
            flux:       Asked flux, [N].

        Returns:
            [N, S, S]: light profiles before PSF and pixel, non-negative, zero on the edge of the
            stamp, summing to the flux.
        """
        centre = tf.stack([tf.reduce_sum(shape * self.frame.x, axis=[1, 2]),
                           tf.reduce_sum(shape * self.frame.y, axis=[1, 2])], axis=-1)
        turned = self.frame.turn(shape, pose.cosine, -pose.sine, centre)
        scale = self.scale(size)
        scale *= self.half_light(turned, size, scale) * tf.exp(pose.ln_size)
        # The kernel has negative lobes, which show beside the sharpest peaks.
        light = tf.nn.relu(self.frame.to_stamp(turned, scale, pose.shift))
        light *= tf.constant(self.edge)[:, None] * self.edge
        total = tf.reduce_sum(light, axis=[1, 2])
        return light * (flux * tf.exp(pose.ln_flux) / total)[:, None, None]


def edge_window(size, width=8):
    """One in the middle, falling as a squared sine to exactly zero on the outermost pixels: [S]."""
    edge = np.minimum(np.arange(size), np.arange(size)[::-1])
    return (np.sin(0.5 * np.pi * np.minimum(edge / width, 1.0)) ** 2).astype(np.float32)
