"""Encoder and decoder of Lanusse et al. 2021 (arXiv:2008.03833, section 4.2.1, table 1).

Seven stages of two residual blocks, each of half (or twice) the resolution of the one before, and
one dense layer to and from the latent vector. Two methods help to train such deep networks:
transverse connections copy a random fraction of the feature maps from the encoder to the decoder,
and a penalty makes the dense layers reproduce their input. Their strength, `annealed`, falls to
zero during the fit.

The networks take and return float32; their convolutions follow the dtype policy.
"""

__all__ = ["DeepDecoder", "DeepEncoder", "annealed", "bottleneck_penalty", "channels_of_levels",
           "transverse"]

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ....networks.blocks import ACTIVATION, ResidualBlock, bounded_scale


class DeepEncoder(keras.Model):
    """Encoder q(z | stamp, PSF), a diagonal Gaussian.

    The PSF is a second channel of the input; without it the network could not deconvolve. The
    paper does not say how images are scaled. Here the stamp is in units of its noise, and both are
    compressed by arcsinh.

    Parameters:
        stamp_size:     Pixels S on a side of a stamp, a multiple of 2^stages.
        latent_size:    Dimension L of the latent vector.
        depth:          Channels at full resolution; they double from stage to stage.
        max_depth:      Maximum number of channels.
        stages:         How many times the resolution is halved.
        blocks:         Residual blocks in a stage.

    Raises a `galsim.GalSimConfigError` if the stamp cannot be halved ``stages`` times.

    >>> encoder = DeepEncoder(16, latent_size=4, depth=4, stages=2)
    >>> mean, scale, features = encoder(tf.ones([1, 16, 16]), tf.ones([1, 9, 9]), tf.ones([1]))
    >>> mean.shape, [feature.shape[1] for feature in features]
    (TensorShape([1, 4]), [16, 8, 4])
    """

    def __init__(self, stamp_size: int, latent_size: int = 16, depth: int = 16,
                 max_depth: int = 512, stages: int = 7, blocks: int = 2) -> None:
        super().__init__(name="encoder", dtype="float32")
        _check_size(stamp_size, stages)
        channels = channels_of_levels(depth, max_depth, stages)
        self.entry = keras.layers.Conv2D(channels[0], 1)
        self.stages = [[ResidualBlock(count) for _ in range(blocks)] for count in channels[:-1]]
        self.halvings = [keras.layers.Conv2D(count, 3, strides=2, padding="same")
                         for count in channels[1:]]
        self.flatten = keras.layers.Flatten(dtype="float32")
        self.exit = keras.layers.Dense(2 * latent_size, dtype="float32")

    def call(self, stamps: tf.Tensor, psfs: tf.Tensor,
             noise_sigma: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Encode stamps.

        Parameters:
            stamps:         Observed stamps, [N, S, S].
            psfs:           Their PSFs, [N, P, P], with P odd.
            noise_sigma:    Standard deviation of the noise in a pixel, [N].

        Returns:
            (mean, scale, features): mean and scale of the latent vector, [N, L] each, and the
            feature maps [N, S / 2^k, S / 2^k, C_k] at level k = 0 ... stages. The last one is the
            input of the dense layer.
        """
        # PSFs have unit sum over thousands of pixels; with the factor, their peak is of order one.
        x = tf.stack([
            tf.asinh(stamps / noise_sigma[:, None, None]),
            tf.asinh(300.0 * _crop_or_pad(psfs, stamps.shape[1])),
        ], axis=-1)
        x, features = self.entry(x), []
        for blocks, halving in zip(self.stages, self.halvings, strict=True):
            for block in blocks:
                x = block(x)
            features.append(tf.cast(x, tf.float32))
            x = halving(x)
        features.append(tf.cast(x, tf.float32))
        mean, raw_scale = tf.split(self.exit(self.flatten(features[-1])), 2, axis=-1)
        # Scales start near one and are bounded.
        return mean, bounded_scale(raw_scale), features


class DeepDecoder(keras.Model):
    """Decoder from a latent vector to a light profile before PSF and pixel; mirrors the encoder.

    Parameters:
        stamp_size:     Pixels S on a side of a stamp, a multiple of 2^stages.
        latent_size:    Dimension L of the latent vector.
        depth:          Channels at full resolution.
        max_depth:      Maximum number of channels.
        stages:         How many times the resolution is doubled.
        blocks:         Residual blocks in a stage.
        level:          Flux in a pixel before the fit, about that of faint galaxies.

    Raises a `galsim.GalSimConfigError` if the stamp cannot be halved ``stages`` times.

    >>> decoder = DeepDecoder(16, latent_size=4, depth=4, stages=2)
    >>> decoder(tf.zeros([2, 4])).shape
    TensorShape([2, 16, 16])
    """

    def __init__(self, stamp_size: int, latent_size: int = 16, depth: int = 16,
                 max_depth: int = 512, stages: int = 7, blocks: int = 2,
                 level: float = 1e-3) -> None:
        super().__init__(name="decoder", dtype="float32")
        _check_size(stamp_size, stages)
        channels = channels_of_levels(depth, max_depth, stages)
        base = stamp_size // 2**stages
        self.lowest_shape = (base, base, channels[-1])
        self.entry = keras.layers.Dense(base * base * channels[-1], dtype="float32")
        # Sub-pixel convolutions, which have no zeros to multiply and no uneven overlap.
        self.doublings = [keras.layers.Conv2D(4 * count, 1) for count in channels[-2::-1]]
        self.stages = [[ResidualBlock(count) for _ in range(blocks)]
                       for count in channels[-2::-1]]
        self.exit = keras.layers.Conv2D(
            1, 1, dtype="float32",
            bias_initializer=keras.initializers.Constant(float(np.log(np.expm1(level)))))
        self.latent_size = latent_size

    def unfold(self, latent: tf.Tensor) -> tf.Tensor:
        """Apply the dense layer: latent vectors [N, L] to the lowest feature maps [N, B, B, C]."""
        return tf.reshape(self.entry(latent), [-1, *self.lowest_shape])

    def call(self, latent: tf.Tensor, features: Sequence[tf.Tensor | None] | None = None,
             fraction: float | tf.Tensor = 0.0,
             seed: Sequence[int | tf.Tensor] = (0, 0)) -> tf.Tensor:
        """Decode latent vectors. Pass all arguments but the first by name.

        Parameters:
            latent:     [N, L].
            features:   Feature maps of the encoder, as `DeepEncoder` returns them, for transverse
                        connections; None at a level without.  [default: no connections]
            fraction:   Fraction of feature maps to copy from the encoder, from 0 to 1.
            seed:       Two integers that determine which maps are copied, such as the seed of the
                        fit and the step. They are the same maps for all galaxies of a batch.

        Returns:
            light profiles, positive, [N, S, S].
        """
        x = self.unfold(latent)
        levels = range(len(self.stages))
        for level, doubling, blocks in zip(
                reversed(levels), self.doublings, self.stages, strict=True):
            x = tf.nn.depth_to_space(doubling(x), 2)
            if features is not None and features[level] is not None:
                x = transverse(x, features[level], fraction, tf.stack([seed[0], seed[1]]) + level)
            for block in blocks:
                x = block(x)
        x = keras.activations.get(ACTIVATION)(tf.cast(x, tf.float32))
        return tf.nn.softplus(self.exit(x))[..., 0]


def transverse(decoder_maps: tf.Tensor, encoder_maps: tf.Tensor, fraction: float | tf.Tensor,
               seed: tf.Tensor | Sequence[int]) -> tf.Tensor:
    """Replace a random fraction of the decoder's feature maps by those of the encoder.

    Parameters:
        decoder_maps:   [N, H, W, C].
        encoder_maps:   Feature maps at the same level, [N, H, W, C].
        fraction:       Probability of a map to be replaced, from 0 to 1.
        seed:           Two integers that determine which maps are replaced.

    Returns:
        [N, H, W, C], in the dtype of ``decoder_maps``.

    >>> maps = transverse(tf.zeros([1, 2, 2, 3]), tf.ones([1, 2, 2, 3]), fraction=1.0, seed=(1, 2))
    >>> bool(tf.reduce_all(maps == 1.0))
    True
    """
    replaced = tf.random.stateless_uniform([decoder_maps.shape[-1]], seed=seed) < fraction
    return tf.where(replaced, tf.cast(encoder_maps, decoder_maps.dtype), decoder_maps)


def bottleneck_penalty(inputs: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Mean squared difference between the feature maps before and after the dense bottleneck.

    Parameters:
        inputs:     The last feature map of the encoder, ``features[-1]``, [N, B, B, C].
        outputs:    ``decoder.unfold(latent)``, [N, B, B, C].

    Returns:
        [N].

    >>> bottleneck_penalty(tf.zeros([1, 2, 2, 3]), tf.fill([1, 2, 2, 3], 2.0)).numpy()
    array([4.], dtype=float32)
    """
    return tf.reduce_mean(tf.square(inputs - outputs), axis=[1, 2, 3])


def annealed(step: tf.Tensor | float, steps: float, until: float = 0.5) -> tf.Tensor:
    """A strength that falls linearly from one to zero and then stays zero.

    Parameters:
        step:       Index of the step.
        steps:      Number of steps of the phase.
        until:      Fraction of the steps after which the strength is zero.

    Returns:
        a float32 scalar.

    >>> [float(annealed(step, 100)) for step in (0, 25, 50, 100)]
    [1.0, 0.5, 0.0, 0.0]
    """
    return tf.nn.relu(1.0 - tf.cast(step, tf.float32) / (until * steps))


def channels_of_levels(depth: int, max_depth: int, stages: int) -> list[int]:
    """Channels at level 0 ... stages: doubled from level to level, up to a maximum.

    >>> channels_of_levels(16, 512, 7)
    [16, 32, 64, 128, 256, 512, 512, 512]
    """
    return [min(depth * 2**level, max_depth) for level in range(stages + 1)]


def _check_size(stamp_size: int, stages: int) -> None:
    if stamp_size % 2**stages:
        raise GalSimConfigError(
            f"A stamp of {stamp_size} pixels cannot be halved {stages} times. Take fewer stages, "
            f"or a stamp size that is a multiple of {2**stages}.")


def _crop_or_pad(psfs: tf.Tensor, size: int) -> tf.Tensor:
    """Crop or pad [N, P, P] to [N, size, size], as close to centred as the parities allow."""
    return tf.image.resize_with_crop_or_pad(psfs[..., None], size, size)[..., 0]
