"""The networks of the very deep VAE (Child 2020, arXiv:2011.10650; Andrianomena 2023, section 3.1).

The encoder makes feature maps of decreasing resolution.  The decoder begins with a single cell and
refines it block by block; each top-down block draws a latent, at first one vector, z0, that
describes the galaxy as a whole, then maps of latents of increasing resolution, which describe
places in it.

Networks take and return float32; their convolutions follow the dtype policy.
"""

__all__ = ["BottomUp", "Drawn", "TopDown", "TopDownBlock"]

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ...networks.blocks import ACTIVATION, bounded_scale
from .settings import VDVAESettings


class Bottleneck(keras.layers.Layer):
    """A residual block of four convolutions: 1x1, 3x3, 3x3, 1x1, each after a relu.

    Parameters:
        channels:   Channels of the output.
        inner:      Channels between the convolutions.
        residual:   Whether the input is added to the output; it then has as many channels.
        single:     Whether the maps have a single cell, for which 3x3 convolutions are 1x1.
        gain:       Scale of the initial weights of the last convolution.

    >>> Bottleneck(4, inner=2)(tf.ones([2, 8, 8, 4])).shape
    TensorShape([2, 8, 8, 4])
    """

    def __init__(self, channels: int, inner: int, residual: bool = True, single: bool = False,
                 gain: float = 1.0) -> None:
        super().__init__()
        self.residual = residual
        wide = 1 if single else 3
        self.convolutions = [
            keras.layers.Conv2D(inner, 1, kernel_initializer="he_normal"),
            keras.layers.Conv2D(inner, wide, padding="same", kernel_initializer="he_normal"),
            keras.layers.Conv2D(inner, wide, padding="same", kernel_initializer="he_normal"),
            keras.layers.Conv2D(channels, 1, kernel_initializer=keras.initializers.VarianceScaling(
                gain**2 + 1e-12))]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N, H, W, D] -> [N, H, W, channels]."""
        y = x
        for convolution in self.convolutions:
            y = convolution(keras.activations.get(ACTIVATION)(y))
        return x + y if self.residual else y


class BottomUp(keras.Model):
    """The encoder: feature maps of each stage, from the full resolution to a single cell.

    Parameters:
        size:       Pixels S on a side of a stamp.
        settings:   `VDVAESettings`.

    Raises a `galsim.GalSimConfigError` if the stamp cannot be halved as often as there are stages.

    >>> settings = VDVAESettings(encoder_blocks=[1, 1, 1], decoder_blocks=[1, 1, 1],
    ...                          channels=[4, 4, 8], details=[0, 1, 2], vector_size=6)
    >>> [maps.shape[1] for maps in BottomUp(16, settings)(tf.ones([2, 16, 16, 3]))]
    [16, 8, 1]
    """

    def __init__(self, size: int, settings: VDVAESettings) -> None:
        super().__init__(name="encoder")
        sizes = stage_sizes(size, settings)
        blocks = sum(settings.encoder_blocks)
        self.entry = keras.layers.Conv2D(settings.channels[0], 3, padding="same")
        self.stages = [
            [Bottleneck(channels, _inner(channels), single=cells == 1, gain=blocks**-0.5)
             for _ in range(count)]
            for count, channels, cells in zip(
                settings.encoder_blocks, settings.channels, sizes, strict=True)]
        self.poolings = [keras.layers.AveragePooling2D(2) for _ in sizes[1:-1]]
        self.widenings = [keras.layers.Conv2D(channels, 1) for channels in settings.channels[1:-1]]
        # To the single cell by a dense layer: a mean would not tell where things are.
        self.joining = keras.layers.Dense(settings.channels[-1])

    def call(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Feature maps of an input [N, S, S, D], a list of [N, H, W, C]."""
        x, features = self.entry(x), []
        for index, blocks in enumerate(self.stages):
            if index == len(self.stages) - 1:
                x = self.joining(tf.reshape(x, [-1, int(np.prod(x.shape[1:]))]))[:, None, None, :]
            elif index:
                x = self.widenings[index - 1](self.poolings[index - 1](x))
            for block in blocks:
                x = block(x)
            features.append(x)
        return features


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The latent that a top-down block has drawn.

    >>> Drawn(tf.zeros([2, 3]), tf.ones([2, 3]), tf.zeros([2])).mean.shape
    TensorShape([2, 3])
    """

    mean: tf.Tensor
    """Mean of the posterior, or of the prior if there is no stamp, [N, H, W, M]."""
    scale: tf.Tensor
    """Its scale, [N, H, W, M]."""
    kl: tf.Tensor
    """KL divergence of the posterior from the prior [nats], [N]; 0 without a stamp."""


class TopDownBlock(keras.layers.Layer):
    """A block of the decoder, which draws a latent (eq. 3.3: diagonal Gaussians).

    One residual block makes the prior, another one, from the maps of decoder and encoder, the
    posterior; the latent is added through a convolution, and a third residual block follows.

    Parameters:
        channels:   Channels of the maps.
        latents:    Channels of the latent; 0 for none.
        single:     Whether the maps have a single cell.
        gain:       Scale of the initial weights of the last convolutions.

    >>> block = TopDownBlock(4, latents=2, single=False, gain=1.0)
    >>> h, drawn = block(tf.ones([1, 8, 8, 4]), features=tf.ones([1, 8, 8, 3]))
    >>> h.shape, drawn.mean.shape, drawn.kl.shape
    (TensorShape([1, 8, 8, 4]), TensorShape([1, 8, 8, 2]), TensorShape([1]))
    """

    def __init__(self, channels: int, latents: int, single: bool, gain: float) -> None:
        super().__init__()
        self.channels, self.latents = channels, latents
        inner = _inner(channels)
        if latents:
            self.prior = Bottleneck(2 * latents + channels, inner, residual=False, single=single,
                                    gain=0.0)
            self.posterior = Bottleneck(2 * latents, inner, residual=False, single=single, gain=0.3)
            self.insert = keras.layers.Conv2D(
                channels, 1, kernel_initializer=keras.initializers.VarianceScaling(gain**2))
        self.output_block = Bottleneck(channels, inner, single=single, gain=gain)

    def call(self, h: tf.Tensor, features: tf.Tensor | None = None, normal: tf.Tensor | None = None,
             fixed: tf.Tensor | None = None, from_prior: tf.Tensor | None = None
             ) -> tuple[tf.Tensor, Drawn | None]:
        """Refine the maps of the decoder.

        Parameters:
            h:          Maps of the decoder, [N, H, W, channels].
            features:   Maps of the encoder, [N, H, W, D]; None without a stamp.
            normal:     Standard normal numbers that determine the latent, [N, H, W, latents].
            fixed:      The latent itself, instead of drawing it, [N, H, W, latents].
            from_prior: 1 for galaxies whose latent is drawn from the prior in spite of their stamp,
                        and 0 for the others, [N].

        Returns:
            (the refined maps; what was drawn, None if the block has no latent).
        """
        if not self.latents:
            return self.output_block(h), None
        parts = [self.latents, self.latents, self.channels]
        prior_mean, raw, shift = tf.split(self.prior(h), parts, axis=-1)
        prior_mean, raw = tf.cast(prior_mean, tf.float32), tf.cast(raw, tf.float32)
        prior_scale = bounded_scale(raw)
        mean, scale, kl = prior_mean, prior_scale, tf.zeros([tf.shape(h)[0]])
        if features is not None:
            raw_mean, raw_scale = tf.split(
                tf.cast(self.posterior(tf.concat([h, features], axis=-1)), tf.float32), 2, axis=-1)
            mean = prior_mean + prior_scale * raw_mean
            scale = prior_scale * bounded_scale(raw_scale)
            # In units of the scale of the prior.
            each = (0.5 * (tf.square(raw_mean) + tf.square(scale / prior_scale) - 1.0)
                    - tf.math.log(scale / prior_scale))
            kl = tf.reduce_sum(each, axis=[1, 2, 3])
            if from_prior is not None:
                chosen = from_prior[:, None, None, None]
                mean = chosen * prior_mean + (1.0 - chosen) * mean
                scale = chosen * prior_scale + (1.0 - chosen) * scale
                kl *= 1.0 - from_prior
        latent = fixed
        if latent is None:
            latent = mean if normal is None else mean + scale * normal
        h = h + shift + self.insert(tf.cast(latent, h.dtype))
        return self.output_block(h), Drawn(mean, scale, kl)


class Places(keras.layers.Layer):
    """Adds a learned map to feature maps, so that networks know where a cell is.

    Convolutions treat all cells alike; without such a map, what a decoder makes of a single cell
    would have the symmetries of the square.

    >>> Places()(tf.ones([2, 4, 4, 3])).shape
    TensorShape([2, 4, 4, 3])
    """

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.map = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal", name="map")
        super().build(shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x + tf.cast(self.map, x.dtype)


class TopDown(keras.Model):
    """The decoder: from a single cell to the full resolution.

    Parameters:
        size:       Pixels S on a side of a stamp.
        settings:   `VDVAESettings`.

    Attributes:
        shapes:     Shapes (H, W, M) of the latents of the blocks that have one, in order; the first
                    one is that of z0, (1, 1, vector_size).

    Raises a `galsim.GalSimConfigError` if the stamp cannot be halved as often as there are stages.

    >>> settings = VDVAESettings(encoder_blocks=[1, 1, 1], decoder_blocks=[2, 1, 1],
    ...                          channels=[4, 4, 8], details=[0, 1, 2], vector_size=6)
    >>> decoder = TopDown(16, settings)
    >>> decoder.shapes
    [(1, 1, 6), (1, 1, 2), (8, 8, 1)]
    >>> decoder(tf.zeros([3, 5]))[0].shape  # five standardised columns
    TensorShape([3, 16, 16])
    """

    def __init__(self, size: int, settings: VDVAESettings) -> None:
        super().__init__(name="decoder")
        sizes, channels = stage_sizes(size, settings)[::-1], settings.channels[::-1]
        count = sum(settings.decoder_blocks)
        self.stages, self.shapes = [], []
        for stage, blocks in enumerate(settings.decoder_blocks):
            made = []
            for block in range(blocks):
                latents = (settings.vector_size if stage == block == 0
                           else settings.details[::-1][stage])
                if latents:
                    self.shapes.append((sizes[stage], sizes[stage], latents))
                made.append(TopDownBlock(channels[stage], latents, sizes[stage] == 1, count**-0.5))
            self.stages.append(made)
        self.conditionings = [keras.layers.Dense(c, dtype="float32") for c in channels]
        self.cells = sizes[1]
        self.spreading = keras.layers.Dense(self.cells**2 * channels[1])
        self.narrowings = [keras.layers.Conv2D(c, 1) for c in channels[2:]]
        self.upsamplings = [keras.layers.UpSampling2D(2) for _ in sizes[2:]]
        self.places = [Places() for _ in sizes[2:]]
        self.exit = keras.layers.Conv2D(1, 3, padding="same")

    def call(self, conditions: tf.Tensor, features: Sequence[tf.Tensor] | None = None,
             normals: Sequence[tf.Tensor] | None = None, vector: tf.Tensor | None = None,
             from_prior: tf.Tensor | None = None) -> tuple[tf.Tensor, list[Drawn]]:
        """Decode; see `first` for z0 alone.

        Parameters:
            conditions: Standardised columns, [N, C].
            features:   Feature maps of `BottomUp`; None without stamps.
            normals:    Standard normal numbers for the latents, of the `shapes`.  [default: the
                        means]
            vector:     z0 itself, instead of drawing it, [N, vector_size].
            from_prior: As for `TopDownBlock.call`, for all latents but z0.

        Returns:
            (numbers for each pixel, float32 [N, S, S]; what was drawn, in the order of `shapes`).
        """
        drawn: list[Drawn] = []
        h = self.conditionings[0](conditions)[:, None, None, :]
        for stage, blocks in enumerate(self.stages):
            if stage == 1:
                # From the single cell by a dense layer: copies of it would all be the same.
                h = tf.reshape(self.spreading(h[:, 0, 0]),
                               [-1, self.cells, self.cells, blocks[0].channels])
            elif stage:
                h = self.places[stage - 2](
                    self.narrowings[stage - 2](self.upsamplings[stage - 2](h)))
            if stage:
                shift = self.conditionings[stage](conditions)[:, None, None, :]
                h = h + tf.cast(shift, h.dtype)
            for block in blocks:
                number = len(drawn)
                first = number == 0
                h, latent = block(
                    h, None if features is None else features[-1 - stage],
                    None if normals is None or not block.latents else normals[number],
                    None if vector is None or not first else vector[:, None, None, :],
                    None if first else from_prior)
                if latent is not None:
                    drawn.append(latent)
        return tf.cast(self.exit(keras.activations.get(ACTIVATION)(h)), tf.float32)[..., 0], drawn

    def first(self, conditions: tf.Tensor, features: Sequence[tf.Tensor] | None = None) -> Drawn:
        """The distribution of z0, without what follows from it.

        Parameters:
            conditions, features:   As for `call`.

        Returns:
            what the first block draws: the posterior, or without features the prior.
        """
        h = self.conditionings[0](conditions)[:, None, None, :]
        _, drawn = self.stages[0][0](h, None if features is None else features[-1])
        assert drawn is not None  # the first block has a latent
        return drawn


def stage_sizes(size: int, settings: VDVAESettings) -> list[int]:
    """Pixels on a side of the maps of each stage: halved from stage to stage, 1 in the last.

    Raises a `galsim.GalSimConfigError` if the size is not a multiple of the power of two.

    >>> stage_sizes(64, VDVAESettings())
    [64, 32, 16, 8, 4, 1]
    """
    halvings = len(settings.channels) - 2
    if size % 2**halvings or size <= 2**halvings:
        raise GalSimConfigError(
            f"stamp.size is {size}, and model.channels has {len(settings.channels)} stages: the "
            f"size must be a multiple of {2**halvings}, and larger.")
    return [*(size // 2**np.arange(halvings + 1)).tolist(), 1]


def _inner(channels: int) -> int:
    """Channels inside a residual block of so many channels."""
    return max(channels // 2, 4)
