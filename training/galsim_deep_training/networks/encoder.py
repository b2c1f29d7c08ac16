"""The encoder: what an observed stamp, its PSF and its noise say about the latent."""

__all__ = ["Encoder"]

import keras
import tensorflow as tf

from .blocks import ResidualBlock, SpaceToDepth, dense


class Encoder(keras.Model):
    """Residual network q(z | stamp, PSF, noise, columns), a diagonal Gaussian.

    The stamp enters twice, in units of the noise (what can be seen) and of the galaxy's flux (what
    it looks like), both compressed by arcsinh; the PSF image is a third channel, without which the
    network could not know what to deconvolve (Lanusse et al. 2021, section 4.2.1).

    Parameters:
        latent_size:    Dimension L of the latent.
        channels:       Channels at each resolution, from a quarter of the stamp's size downwards:
                        blocks of 4 x 4 pixels are rearranged as channels, which loses nothing.
        hidden:         Units of the dense layer before the output.
    """

    def __init__(self, latent_size, channels=(32, 64, 96), hidden=256):
        super().__init__(name="encoder")
        stages = [SpaceToDepth(4)]
        for level, count in enumerate(channels):
            if level:
                stages.append(keras.layers.AveragePooling2D(2))
            stages += [keras.layers.Conv2D(count, 1), ResidualBlock(count)]
        self.body = keras.Sequential([*stages, keras.layers.Conv2D(16, 1), keras.layers.Flatten()])
        self.head = dense(2 * latent_size, (hidden, hidden))
        self.latent_size = latent_size

    def call(self, stamps, psfs, noise_sigma, flux, context):
        """Encode.

        Parameters:
            stamps:         [N, S, S].
            psfs:           [N, P, P], P odd.
            noise_sigma:    [N].
            flux:           Flux each galaxy is expected to have, [N].
            context:        Standardised columns, [N, C].

        Returns:
            (mean, scale) of the latent, each [N, L]; scale > 0.
        """
        size = stamps.shape[1]
        channels = tf.stack([
            0.3 * tf.asinh(stamps / noise_sigma[:, None, None]),
            0.5 * tf.asinh(300.0 * stamps / flux[:, None, None]),
            tf.asinh(300.0 * centred(psfs, size)),
        ], axis=-1)
        features = tf.concat([self.body(channels), context], axis=-1)
        mean, raw = tf.split(self.head(features), 2, axis=-1)
        # Scales start near e^-1 and cannot collapse to zero or run away.
        return mean, tf.exp(4.0 * tf.tanh(raw / 4.0) - 1.0)


def centred(psfs, size):
    """Pad or crop [N, P, P] to [N, size, size], as close to centred as the parities allow."""
    have = psfs.shape[1]
    if have >= size:
        start = (have - size) // 2
        return psfs[:, start:start + size, start:start + size]
    before = (size - have) // 2
    pad = [before, size - have - before]
    return tf.pad(psfs, [[0, 0], pad, pad])
