"""Generator of a conditional GAN: latent, class and columns to images on nested grids."""

__all__ = ["INJECTIONS", "Generator"]

from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from ....networks.blocks import Shape, mlp
from ....networks.conditional_batch_norm import ConditionalBatchNorm
from ....networks.nested_grids import Grids
from ....networks.residual import ResBlockUp
from ....networks.spectral import SpectralConv, SpectralDense
from ....networks.upsampling import BSplineUpsampling, upsample_to_grids
from ....networks.wrapping import wrapped

Injection = Literal["split", "copy", "class"]
INJECTIONS: tuple[Injection, ...] = ("split", "copy", "class")
"""Ways in which latent and class reach the normalisation layers, see `Generator`."""


class Generator(keras.Model):
    """A residual network like BigGAN's (Astorga 2021, section 8.1.4, table 8.1).

    BigGAN is Brock et al. 2019 (arXiv:1809.11096). The condition of the batch normalisation of a
    block depends on ``injection``:

    * "split": a piece of the latent for the dense layer at the entry and one for each block,
      and an embedding of the class, which the blocks share;
    * "copy": the whole latent at the entry and for each block, and the shared embedding;
    * "class": the whole latent at the entry only, and the class for each block.

    Columns, if any, are transformed by a small network and are part of the condition of all blocks.

    Maps of standard normal numbers may be added to the features at each resolution, as in StyleGAN
    (Karras et al. 2019, arXiv:1812.04948).  They decide where details are, which the latent of a
    few numbers would repeat from image to image.

    Parameters:
        latent_size:    Dimension of the latent, J; for "split" a multiple of blocks + 1.
        classes:        Number of classes, K.
        start:          Rows of the first feature map.
        blocks:         Number of residual blocks, each of which doubles the resolution.
        channels:       Channels of all blocks.
        grids:          ``(cells, subcells)`` of each output, see `nested_grids`.
        scalars:        Number of scalar outputs in addition.
        injection:      One of `INJECTIONS`.
        hidden:         Hidden units of the network of the columns and of that of the scalars.
        noise_maps:     Number of maps of noise that are added to the first features, and to those
                        after each block, 0 for none; fewer entries for none at the last
                        resolutions.
        wraps:          Whether the images are polar grids, see `networks.wrapping`, which have
                        twice as many columns as rows.

    Attributes:
        noise_shapes:   (rows, columns, maps) at each resolution of ``noise_maps``.
        noise_size:     Number of all their numbers.

    Raises a `ValueError` if the latent cannot be split into equal pieces, if the grids are not
    concentric with the highest resolution, if there are several polar grids, or more numbers of
    maps of noise than resolutions.

    >>> generator = Generator(latent_size=6, classes=3, start=2, blocks=2, channels=8,
    ...                       grids=[(8, 2)])
    >>> images, scalars = generator(tf.ones([2, 6]), tf.one_hot([0, 2], 3), tf.zeros([2, 0]))
    >>> images[0].shape
    TensorShape([2, 16, 16])
    """

    def __init__(self, latent_size: int, classes: int, start: int, blocks: int, channels: int,
                 grids: Grids, scalars: int = 0, injection: Injection = "copy",
                 hidden: int = 32, wraps: bool = False, noise_maps: Sequence[int] = ()) -> None:
        super().__init__(name="generator", dtype="float32")
        self.start = start, 2 * start if wraps else start
        self.channels, self.grids, self.wraps = channels, grids, wraps
        finest = start * 2**blocks
        self.injection = injection
        if injection == "split" and latent_size % (blocks + 1):
            raise ValueError(
                f"A latent of {latent_size} numbers cannot be split into {blocks + 1} equal "
                "pieces, one for the entry and one for each block.")
        self.embed = (None if injection == "class" else
                      SpectralDense(latent_size, use_bias=False, dtype="float32"))
        if wraps and len(grids) > 1:
            raise ValueError("Polar grids cannot be nested.")
        if len(noise_maps) > blocks + 1:
            raise ValueError(f"There are {len(noise_maps)} numbers of maps of noise, and "
                             f"{blocks + 1} resolutions.")
        self.transform_columns = mlp(hidden, (hidden,))
        self.entry = SpectralDense(self.start[0] * self.start[1] * channels)
        self.blocks = [ResBlockUp(channels, wraps) for _ in range(blocks)]
        self.norm = ConditionalBatchNorm(conditional=False)
        # Not zero: the discriminator would be far ahead before the images show anything.
        initializer = keras.initializers.RandomNormal(stddev=0.05)
        self.upsampling = [
            BSplineUpsampling(
                subcells, "same" if cells == finest and not wraps else "valid", initializer)
            for cells, subcells in grids]
        self.noise_shapes = [(rows * 2**level, columns * 2**level, maps)
                             for level, maps in enumerate(noise_maps)
                             for rows, columns in [self.start]]
        self.noise_size = sum(int(np.prod(shape)) for shape in self.noise_shapes)
        self.noise_layers = {level: SpectralConv(channels, 1, use_bias=False)
                             for level, maps in enumerate(noise_maps) if maps}
        self.scalar_head = (mlp(scalars, (hidden,), output_initializer="zeros")
                            if scalars else None)

    def build(self, *_: Shape) -> None:
        """Nothing to do: the layers within are built when they are called first."""

    def call(self, latent: tf.Tensor, classes: tf.Tensor, conditions: tf.Tensor,
             noise: tf.Tensor | None = None, training: bool = False,
             batchwise: bool = False) -> tuple[list[tf.Tensor], tf.Tensor | None]:
        """Generate images.

        Parameters:
            latent:         [N, J].
            classes:        One-hot, [N, K].
            conditions:     Standardised columns, [N, C]; [N, 0] if there are none.
            noise:          Standard normal numbers, [N, noise_size].  [default: zeros]
            training, batchwise:    As for `ConditionalBatchNorm.call`.

        Returns:
            (a real-valued image on each grid, [N, cells * subcells, cells * subcells] each, or
            twice as many columns if it is a polar grid; scalars [N, scalars], or None).
        """
        entry, block_conditions = self._split(latent, classes, conditions, training)
        x = self.entry(entry, training=training)
        x = tf.reshape(x, [-1, *self.start, self.channels])
        if noise is None:
            noise = tf.zeros([tf.shape(latent)[0], self.noise_size])
        added = self._noise_features(noise, training)
        x += added.get(0, 0.0)
        for level, (block, condition) in enumerate(
                zip(self.blocks, block_conditions, strict=True), start=1):
            x = block(x, condition, training=training, batchwise=batchwise)
            x += added.get(level, 0.0)
        x = tf.nn.relu(self.norm(x, training=training, batchwise=batchwise))
        if self.wraps:
            x = wrapped(x)
        return (upsample_to_grids(x, self.upsampling, self.grids),
                self.scalars(latent, classes, conditions))

    def scalars(self, latent: tf.Tensor, classes: tf.Tensor, conditions: tf.Tensor
                ) -> tf.Tensor | None:
        """The scalar outputs alone, [N, scalars]; None if there are none."""
        if self.scalar_head is None:
            return None
        return self.scalar_head(tf.concat([latent, classes, conditions], axis=-1))

    def _noise_features(self, noise: tf.Tensor, training: bool) -> dict[int, tf.Tensor]:
        """What noise [N, noise_size] adds to the features, by resolution."""
        if not self.noise_layers:
            return {}
        parts = tf.split(noise, [int(np.prod(shape)) for shape in self.noise_shapes], axis=-1)
        return {level: layer(tf.reshape(parts[level], [-1, *self.noise_shapes[level]]),
                             training=training)
                for level, layer in self.noise_layers.items()}

    def _split(self, latent: tf.Tensor, classes: tf.Tensor, conditions: tf.Tensor,
               training: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The input of the entry, and the condition of each block."""
        count = len(self.blocks)
        columns = [self.transform_columns(conditions)] if conditions.shape[-1] else []
        if self.embed is None:
            return tf.concat([latent, *columns], -1), [tf.concat([classes, *columns], -1)] * count
        embedding = self.embed(classes, training=training)
        if self.injection == "copy":
            return latent, [tf.concat([embedding, latent, *columns], axis=-1)] * count
        entry, *pieces = tf.split(latent, count + 1, axis=-1)
        return entry, [tf.concat([embedding, piece, *columns], axis=-1) for piece in pieces]
