"""Residual blocks of generators, discriminators and encoders, as in BigGAN.

Brock et al. 2019 (arXiv:1809.11096), appendix B; Astorga 2021, section 6.3.3, figures 6.1, 8.1 and
8.2. All convolutions have spectral normalisation.
"""

__all__ = ["ResBlockDown", "ResBlockUp"]

from typing import Any

import keras
import tensorflow as tf

from .blocks import Shape
from .conditional_batch_norm import ConditionalBatchNorm
from .spectral import SpectralConv
from .wrapping import wrapped


class ResBlockUp(keras.layers.Layer):
    """Residual block of a generator, which doubles the resolution.

    Main path: norm, relu, upsample, 3x3 convolution, norm, relu, 3x3 convolution. Skip connection:
    upsample, 1x1 convolution.

    Parameters:
        channels:       Channels of the output.
        wraps:          Whether the images are polar grids, see `networks.wrapping`.

    >>> ResBlockUp(4)(tf.ones([2, 6, 6, 5]), tf.ones([2, 3]), training=True).shape
    TensorShape([2, 12, 12, 4])
    """

    def __init__(self, channels: int, wraps: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels, self.wraps = channels, wraps
        self.norms = [ConditionalBatchNorm(), ConditionalBatchNorm()]
        self.convs = [SpectralConv(channels, 3, wraps=wraps) for _ in range(2)]
        self.upsampling = keras.layers.UpSampling2D(2, interpolation="bilinear")

    def build(self, x_shape: Shape, condition_shape: Shape) -> None:
        self.skip = SpectralConv(self.channels, 1)
        super().build((x_shape, condition_shape))

    def upsample(self, x: tf.Tensor) -> tf.Tensor:
        """Interpolate to twice the resolution."""
        if not self.wraps:
            return self.upsampling(x)
        return self.upsampling(wrapped(x))[:, 2:-2, 2:-2]

    def call(self, x: tf.Tensor, condition: tf.Tensor, training: bool = False,
             batchwise: bool = False) -> tf.Tensor:
        """Run the block.

        Parameters:
            x:                      [N, H, W, D].
            condition:              Condition of the normalisation, [N, E].
            training, batchwise:    As for `ConditionalBatchNorm.call`.

        Returns:
            [N, 2 H, 2 W, channels].
        """
        mode = dict(training=training, batchwise=batchwise)
        y = tf.nn.relu(self.norms[0](x, condition, **mode))
        x, y = self.upsample(x), self.upsample(y)
        y = self.convs[0](y, training=training)
        y = tf.nn.relu(self.norms[1](y, condition, **mode))
        y = self.convs[1](y, training=training)
        return y + self.skip(x, training=training)


class ResBlockDown(keras.layers.Layer):
    """Residual block of a discriminator or encoder, which halves the resolution.

    Main path: relu, 3x3 convolution, relu, 3x3 convolution, average pooling. Skip connection: 1x1
    convolution, average pooling.

    Parameters:
        channels:       Channels of the output.
        downsample:     Whether to halve the resolution. If not, and if the number of channels does
                        not change, the skip connection is the identity.
        first:          Whether this is the first block of a network, whose input is an image: it
                        has no relu before the first convolution, and pools before the 1x1
                        convolution.
        wraps:          Whether the images are polar grids, see `networks.wrapping`.

    >>> ResBlockDown(4)(tf.ones([2, 6, 6, 5])).shape
    TensorShape([2, 3, 3, 4])
    """

    def __init__(self, channels: int, downsample: bool = True, first: bool = False,
                 wraps: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels, self.downsample, self.first = channels, downsample, first
        self.convs = [SpectralConv(channels, 3, wraps=wraps) for _ in range(2)]
        self.pool = keras.layers.AveragePooling2D(2)

    def build(self, shape: Shape) -> None:
        self.skip = (SpectralConv(self.channels, 1)
                     if self.downsample or shape[-1] != self.channels else None)
        super().build(shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Run the block: [N, H, W, D] -> [N, H / 2, W / 2, channels]."""
        y = self.convs[0](x if self.first else tf.nn.relu(x), training=training)
        y = self.convs[1](tf.nn.relu(y), training=training)
        if self.downsample:
            y = self.pool(y)
        if self.skip is not None and self.first:
            x = self.skip(self.pool(x) if self.downsample else x, training=training)
        elif self.skip is not None:
            x = self.skip(x, training=training)
            x = self.pool(x) if self.downsample else x
        return x + y
