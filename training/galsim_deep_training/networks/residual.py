"""Residual blocks of generators, discriminators and encoders, as in BigGAN (Brock et al. 2019).

All convolutions are spectrally normalised; Astorga 2021, section 6.3.3, figures 6.1, 8.1 and 8.2.
"""

__all__ = ["Down", "Up"]

import keras
import tensorflow as tf

from .spectral import SpectralConv
from .standing_norm import StandingNorm


class Up(keras.layers.Layer):
    """norm, relu, upsample, conv, norm, relu, conv, beside upsample and a 1x1 convolution.

    [N, H, W, D], [N, E] -> [N, 2 H, 2 W, channels]; the second input is the condition of the norms,
    see `StandingNorm` for what they are told besides.

    Parameters:
        channels:       Of what comes out.
    """

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.norms = [StandingNorm(), StandingNorm()]
        self.convs = [SpectralConv(channels, 3), SpectralConv(channels, 3)]
        self.finer = keras.layers.UpSampling2D(2, interpolation="bilinear")

    def build(self, x_shape, condition_shape):
        self.skip = SpectralConv(self.channels, 1)
        super().build((x_shape, condition_shape))

    def call(self, x, condition, training=False, batchwise=False):
        how = dict(training=training, batchwise=batchwise)
        y = tf.nn.relu(self.norms[0](x, condition, **how))
        x, y = self.finer(x), self.finer(y)
        y = self.convs[0](y, training=training)
        y = tf.nn.relu(self.norms[1](y, condition, **how))
        y = self.convs[1](y, training=training)
        return y + self.skip(x, training=training)


class Down(keras.layers.Layer):
    """relu, conv, relu, conv, pool, beside a 1x1 convolution and pool.

    [N, H, W, D] -> [N, H / 2, W / 2, channels].

    Parameters:
        channels:       Of what comes out.
        halves:         Whether it pools.  Where it does not, and the channels are the same, the
                        skip connection is the identity.
        first:          Of a network: without the first relu, and pooling before the 1x1
                        convolution.
    """

    def __init__(self, channels, halves=True, first=False, **kwargs):
        super().__init__(**kwargs)
        self.channels, self.halves, self.first = channels, halves, first
        self.convs = [SpectralConv(channels, 3), SpectralConv(channels, 3)]
        self.pool = keras.layers.AveragePooling2D(2)

    def build(self, shape):
        self.skip = (SpectralConv(self.channels, 1)
                     if self.halves or shape[-1] != self.channels else None)
        super().build(shape)

    def call(self, x, training=False):
        y = self.convs[0](x if self.first else tf.nn.relu(x), training=training)
        y = self.convs[1](tf.nn.relu(y), training=training)
        if self.halves:
            y = self.pool(y)
        if self.skip is not None and self.first:
            x = self.skip(self.pool(x) if self.halves else x, training=training)
        elif self.skip is not None:
            x = self.skip(x, training=training)
            x = self.pool(x) if self.halves else x
        return x + y
