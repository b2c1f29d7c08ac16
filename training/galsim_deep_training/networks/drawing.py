"""From the numbers of a network in the galaxy's frame to a light profile on a postage stamp."""

__all__ = ["Drawing", "Pose", "edge_window"]

import itertools

import keras
import numpy as np
import tensorflow as tf

from .blocks import softplus
from .half_light import HalfLight


class Pose:
    """How a shape is laid on the stamp, for each of N galaxies.

    Parameters:
        orientation:    An `Orientation`.
        shift:          Of the centroid from the middle of the stamp, x and y [pixels], [N, 2].
                        [default: none]
        ln_size:        Logarithm of half-light radius over the asked one, [N].  [default: 0]
        ln_flux:        Logarithm of flux over the asked one, [N].  [default: 0]
    """

    def __init__(self, orientation, shift=0.0, ln_size=0.0, ln_flux=0.0):
        self.orientation = orientation
        self.shift = shift
        self.ln_size, self.ln_flux = ln_size, ln_flux


class Drawing(keras.layers.Layer):
    """Positive shapes with their centroid, size and flux as asked for.

    A shape is light on nested grids: a coarse one for the whole of the galaxy, finer ones for its
    middle.  From one to the next the light fades over.

    Parameters:
        frames:         A list of `GalaxyFrame`s, the widest first.
        psf_radius:     Half-light radius of the PSF that sizes were measured through [pixels].
    """

    # Half-light radius over scale length of an exponential disc.
    _disc = 1.6783469900166605

    def __init__(self, frames, psf_radius):
        super().__init__(name="drawing", dtype="float32")
        self.frames = frames
        self.half_light = HalfLight(frames)
        self.psf_variance = float(psf_radius) ** 2
        self.envelopes, self.windows = [], []
        for frame, closer in itertools.zip_longest(frames, frames[1:]):
            radius = np.hypot(frame.x, frame.y)
            self.envelopes.append((-self._disc * radius + 2 * np.log(self._disc)
                                   - np.log(2 * np.pi)).astype(np.float32))
            window = frame.step**2 * _fade(radius, frame, frames)
            if closer is not None:
                window *= 1.0 - _fade(radius, closer, frames)
            self.windows.append(window.astype(np.float32))
        self.edge = edge_window(frames[0].stamp_size)

    def scale(self, size):
        """About the half-light radius before PSF [pixels] of a galaxy of the observed one, [N]."""
        return tf.sqrt(tf.maximum(
            tf.square(size) - self.psf_variance, 0.5 + 0.02 * tf.square(size)))

    def shape(self, numbers):
        """Numbers, a list of [N, C, C] -> shapes likewise, positive, summing to one over all.

        Where the network says zero this is an exponential disc of unit half-light radius.
        """
        light = [window * softplus(one + envelope) for window, one, envelope
                 in zip(self.windows, numbers, self.envelopes, strict=True)]
        total = tf.add_n([tf.reduce_sum(one, axis=[1, 2], keepdims=True) for one in light])
        return [one / total for one in light]

    def draw(self, shape, pose, size, flux):
        """Lay shapes on stamps.

        Parameters:
            shape:      In each frame, a list of [N, C, C], summing to one over all.
            pose:       A `Pose`.
            size:       Asked half-light radius, as observed [pixels], [N].
            flux:       Asked flux, [N].

        Returns:
            [N, S, S]: light profiles before PSF and pixel, non-negative, zero on the edge of the
            stamp, summing to the flux.
        """
        orientation, across = pose.orientation.lengthwise()
        across = across[:, None, None]
        shape = [frame.squeeze(tf.where(across, tf.transpose(one, [0, 2, 1]), one),
                               orientation.axis_ratio)
                 for frame, one in zip(self.frames, shape, strict=True)]
        centre = tf.add_n([tf.stack([tf.reduce_sum(one * frame.x, axis=[1, 2]),
                                     tf.reduce_sum(one * frame.y, axis=[1, 2])], axis=-1)
                           for frame, one in zip(self.frames, shape, strict=True)])
        scale = self.scale(size) * orientation.lengthening
        scale *= self.half_light(shape, centre, size, scale) * tf.exp(pose.ln_size)
        shift = pose.shift - scale[:, None] * orientation.turned(centre)
        light = tf.add_n([frame.to_stamp(frame.lay(one, orientation.upright), scale, shift)
                          for frame, one in zip(self.frames, shape, strict=True)])
        # The kernel has negative lobes, which show beside the sharpest peaks.
        light = tf.nn.relu(light)
        light *= tf.constant(self.edge)[:, None] * self.edge
        total = tf.reduce_sum(light, axis=[1, 2])
        return light * (flux * tf.exp(pose.ln_flux) / total)[:, None, None]


def _fade(radius, frame, frames):
    """One in the middle of a frame, falling to zero within its reach.

    Of the widest one in the outer eighth: a shape that is cut off would show its frame.
    """
    width = 0.12 if frame is frames[0] else 0.3
    place = np.clip((radius / frame.reach - 1 + width) / width, 0.0, 1.0)
    return np.cos(0.5 * np.pi * place) ** 2 * (place < 1)


def edge_window(size, width=8):
    """One in the middle, falling as a squared sine to exactly zero on the outermost pixels: [S]."""
    edge = np.minimum(np.arange(size), np.arange(size)[::-1])
    return (np.sin(0.5 * np.pi * np.minimum(edge / width, 1.0)) ** 2).astype(np.float32)
