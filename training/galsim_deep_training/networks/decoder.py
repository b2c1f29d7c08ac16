"""The decoder: from a latent to a light profile, before PSF and pixel."""

__all__ = ["Decoder", "ProfileHead", "edge_window"]

import keras
import numpy as np
import tensorflow as tf

from .blocks import Binomial, DepthToSpace, ResidualBlock, dense


class Decoder(keras.Model):
    """Residual network from a latent and the columns to one number per pixel.

    Parameters:
        stamp_size:     Size S of the stamp; the network starts at S / 16.
        channels:       Channels at S/16, S/8, S/4, S/2.  The last doubling of the resolution is a
                        rearrangement, which makes the full-size layers nearly free.
        hidden:         Units of the dense layer that starts the network.
        start:          Channels that this layer makes at the lowest resolution.
    """

    def __init__(self, stamp_size, channels=(96, 64, 32, 12), hidden=256, start=32):
        super().__init__(name="decoder")
        base = stamp_size // 16
        self.entry = dense(base * base * start, (hidden,))
        stages = [keras.layers.Reshape((base, base, start))]
        for level, count in enumerate(channels):
            if level:
                stages += [keras.layers.Conv2D(4 * count, 1), DepthToSpace()]
            else:
                stages.append(keras.layers.Conv2D(count, 1))
            stages.append(ResidualBlock(count))
        stages += [
            keras.layers.Activation("relu"),
            # Starting from zero, the first profile is the bare envelope of the head.
            keras.layers.Conv2D(4, 3, padding="same", kernel_initializer="zeros"),
            DepthToSpace(),
            Binomial(),
        ]
        self.body = keras.Sequential(stages)

    def call(self, latent, context):
        """[N, L], [N, C] -> [N, S, S]."""
        return self.body(self.entry(tf.concat([latent, context], axis=-1)))[..., 0]


class ProfileHead(keras.layers.Layer):
    """Turns the decoder's numbers into a positive light profile with the asked flux.

    profile = flux * p / sum(p),  p = window * softplus(network - r/h - ln(2 pi h^2))

    With a network that says zero this is an exponential disc of the asked size, so that the fit
    starts with galaxies of the right size and flux and learns what is different.

    Parameters:
        stamp_size:     Size S of the stamp.
        psf_radius:     Half-light radius of the PSF that sizes were measured through [pixels]; it
                        is taken out of the asked size in quadrature.
    """

    # Half-light radius over scale length of an exponential disc.
    _disc = 1.6783469900166605

    def __init__(self, stamp_size, psf_radius):
        super().__init__(name="profile_head")
        # Kept as lines of the stamp, not as images: constants are written into the module.
        self.axis = (np.arange(stamp_size) - 0.5 * (stamp_size - 1)).astype(np.float32)
        self.window = edge_window(stamp_size)
        self.psf_variance = float(psf_radius) ** 2

    def call(self, numbers, size, flux):
        """Make profiles.

        Parameters:
            numbers:    Output of the network, [N, S, S].
            size:       Asked half-light radius, as observed [pixels], [N].
            flux:       Asked flux, [N].

        Returns:
            [N, S, S], non-negative, zero on the stamp's edge, summing to ``flux``.
        """
        scale = tf.sqrt(tf.maximum(tf.square(size) - self.psf_variance, 0.25)) / self._disc
        scale = scale[:, None, None]
        radius = tf.sqrt(tf.square(self.axis)[:, None] + tf.square(self.axis))  # true centre
        envelope = -radius / scale - tf.math.log(2 * np.pi * tf.square(scale))
        window = tf.constant(self.window)[:, None] * self.window
        shape = window * tf.nn.softplus(numbers + envelope)
        return (flux / tf.reduce_sum(shape, axis=[1, 2]))[:, None, None] * shape


def edge_window(size, width=8):
    """One in the middle, falling as a squared sine to exactly zero on the outermost pixels: [S]."""
    edge = np.minimum(np.arange(size), np.arange(size)[::-1])
    return (np.sin(0.5 * np.pi * np.minimum(edge / width, 1.0)) ** 2).astype(np.float32)
