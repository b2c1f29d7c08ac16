"""Encoder and decoder of Lanusse et al. 2021 (section 4.2.1, table 1), and how they are started.

Seven stages of two residual blocks, each half or twice the resolution of the one before; a single
dense layer to the latent and one back.  Two aids let so deep a stack start, and are taken away in
the course of the fit: transverse connections hand a random share of the encoder's feature maps to
the decoder, and a penalty asks the dense layers to give back what was put into them; `annealed` is
the strength of both.

The networks take and return float32; their convolutions follow the dtype policy.
"""

__all__ = ["DeepDecoder", "DeepEncoder", "annealed", "bottleneck_penalty", "transverse"]

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from .blocks import ACTIVATION, ResidualBlock, bounded_scale


class DeepEncoder(keras.Model):
    """q(z | stamp, PSF), a diagonal Gaussian.

    The PSF enters as a second channel: without it the network could not know what to deconvolve.
    The paper does not say how images are scaled; here the stamp is in units of its noise,
    compressed by arcsinh.

    Parameters:
        stamp_size:     Size S of the stamp, a multiple of 2^stages.
        latent_size:    Dimension L of the latent.
        depth:          Channels at full resolution; doubled from stage to stage.
        max_depth:      Largest number of channels.
        stages:         How often the resolution is halved.
        blocks:         Residual blocks of a stage.
    """

    def __init__(self, stamp_size, latent_size=16, depth=16, max_depth=512, stages=7, blocks=2):
        super().__init__(name="encoder", dtype="float32")
        _check_size(stamp_size, stages)
        depths = depths_of(depth, max_depth, stages)
        self.entry = keras.layers.Conv2D(depths[0], 1)
        self.stages = [[ResidualBlock(count) for _ in range(blocks)] for count in depths[:-1]]
        self.halvings = [keras.layers.Conv2D(count, 3, strides=2, padding="same")
                         for count in depths[1:]]
        self.flatten = keras.layers.Flatten(dtype="float32")
        self.exit = keras.layers.Dense(2 * latent_size, dtype="float32")

    def call(self, stamps, psfs, noise_sigma):
        """Encode.

        Parameters:
            stamps:         [N, S, S].
            psfs:           [N, P, P], P odd.
            noise_sigma:    Standard deviation of the noise in a pixel, [N].

        Returns:
            (mean, scale, features): mean and scale of the latent, each [N, L], scale > 0; and the
            feature maps, a list of [N, S / 2^k, S / 2^k, C_k] for level k = 0 ... stages.  The last
            is what the dense layer sees.
        """
        x = tf.stack([
            tf.asinh(stamps / noise_sigma[:, None, None]),
            tf.asinh(300.0 * _fitted(psfs, stamps.shape[1])),
        ], axis=-1)
        x, features = self.entry(x), []
        for blocks, halve in zip(self.stages, self.halvings, strict=True):
            for block in blocks:
                x = block(x)
            features.append(tf.cast(x, tf.float32))
            x = halve(x)
        features.append(tf.cast(x, tf.float32))
        mean, raw = tf.split(self.exit(self.flatten(features[-1])), 2, axis=-1)
        # Scales start near one and cannot collapse to zero or run away.
        return mean, bounded_scale(raw), features


class DeepDecoder(keras.Model):
    """From a latent to a light profile before PSF and pixel: the encoder in a mirror.

    Parameters:
        stamp_size:     Size S of the stamp, a multiple of 2^stages.
        latent_size:    Dimension L of the latent.
        depth:          Channels at full resolution.
        max_depth:      Largest number of channels.
        stages:         How often the resolution is doubled.
        blocks:         Residual blocks of a stage.
        level:          Flux in a pixel that profiles start with, about that of the faint ones.
    """

    def __init__(self, stamp_size, latent_size=16, depth=16, max_depth=512, stages=7, blocks=2,
                 level=1e-3):
        super().__init__(name="decoder", dtype="float32")
        _check_size(stamp_size, stages)
        depths = depths_of(depth, max_depth, stages)
        base = stamp_size // 2**stages
        self.bottom = (base, base, depths[-1])
        self.entry = keras.layers.Dense(base * base * depths[-1], dtype="float32")
        # Doubling by rearrangement: no arithmetic on zeros, and no chequered kernels.
        self.doublings = [keras.layers.Conv2D(4 * count, 1) for count in depths[-2::-1]]
        self.stages = [[ResidualBlock(count) for _ in range(blocks)] for count in depths[-2::-1]]
        self.exit = keras.layers.Conv2D(
            1, 1, dtype="float32",
            bias_initializer=keras.initializers.Constant(float(np.log(np.expm1(level)))))
        self.latent_size = latent_size

    def unfold(self, latent):
        """What the dense layer makes of a latent: [N, L] -> the lowest level, [N, B, B, C]."""
        return tf.reshape(self.entry(latent), [-1, *self.bottom])

    def call(self, latent, features=None, share=0.0, seed=(0, 0)):
        """Decode; what is not a tensor has to be given by its name.

        Parameters:
            latent:     [N, L].
            features:   Feature maps of the encoder, as `DeepEncoder` returns them; None in place
                        of a level leaves that level alone.  [default: None, no connections]
            share:      The share of feature maps taken from them, from 0 to 1.
            seed:       Two integers that decide which maps, such as the seed of the fit and the
                        step; the same ones for all galaxies of a batch.

        Returns:
            the light profile, positive, [N, S, S].
        """
        x = self.unfold(latent)
        levels = range(len(self.stages))
        for level, doubling, blocks in zip(
                reversed(levels), self.doublings, self.stages, strict=True):
            x = tf.nn.depth_to_space(doubling(x), 2)
            if features is not None and features[level] is not None:
                x = transverse(x, features[level], share, tf.stack([seed[0], seed[1]]) + level)
            for block in blocks:
                x = block(x)
        x = keras.activations.get(ACTIVATION)(tf.cast(x, tf.float32))
        return tf.nn.softplus(self.exit(x))[..., 0]


def transverse(own, given, share, seed):
    """Replace a random share of feature maps by those of the encoder.

    Parameters:
        own:        Feature maps of the decoder, [N, H, W, C].
        given:      Those of the encoder at the same level, [N, H, W, C].
        share:      Chance of a map to be replaced, from 0 (none) to 1 (all).
        seed:       Two integers that decide which.

    Returns:
        [N, H, W, C], in the dtype of ``own``.
    """
    chosen = tf.random.stateless_uniform([own.shape[-1]], seed=seed) < share
    return tf.where(chosen, tf.cast(given, own.dtype), own)


def bottleneck_penalty(given, returned):
    """Mean squared difference between the maps before and after the dense bottleneck.

    Parameters:
        given:      The encoder's last feature map, ``features[-1]``, [N, B, B, C].
        returned:   What the decoder makes of the latent, ``decoder.unfold(latent)``, [N, B, B, C].

    Returns:
        [N].
    """
    return tf.reduce_mean(tf.square(given - returned), axis=[1, 2, 3])


def annealed(number, steps, until=0.5):
    """A strength that falls from one to zero along a line, then stays there.

    Parameters:
        number:     The step, a tensor or an integer.
        steps:      Steps of the whole phase.
        until:      The share of them after which it is zero.

    Returns:
        a float32 scalar.
    """
    return tf.nn.relu(1.0 - tf.cast(number, tf.float32) / (until * steps))


def depths_of(depth, max_depth, stages):
    """Channels of levels 0 ... stages: doubled each time, up to a maximum."""
    return [min(depth * 2**level, max_depth) for level in range(stages + 1)]


def _check_size(stamp_size, stages):
    if stamp_size % 2**stages:
        raise GalSimConfigError(
            f"A stamp of {stamp_size} pixels cannot be halved {stages} times; take fewer stages "
            f"or a multiple of {2**stages}.")


def _fitted(psfs, size):
    """Pad or crop [N, P, P] to [N, size, size], as close to centred as the parities allow."""
    return tf.image.resize_with_crop_or_pad(psfs[..., None], size, size)[..., 0]
