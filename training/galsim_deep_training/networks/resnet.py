"""Residual networks that turn images into vectors (He et al. 2016, arXiv:1512.03385)."""

__all__ = ["ResNet", "ResNetSettings"]

from typing import Self

import keras
import pydantic
import tensorflow as tf

from ..settings import Channels, Layers, Settings


class ResNetSettings(Settings):
    """Settings of a residual network.

    The defaults fit two cores.  ResNet-34, which Andrianomena 2023 uses, has the blocks
    [3, 4, 6, 3] and the channels [64, 128, 256, 512].

    >>> ResNetSettings().channels
    (16, 32, 64, 128)
    """

    blocks: tuple[Layers, ...] = (1, 1, 1, 1)
    """Residual blocks in each stage; each stage after the first halves the resolution."""
    channels: tuple[Channels, ...] = (16, 32, 64, 128)
    """Channels of each stage; the last one is the length of the vector."""

    @pydantic.model_validator(mode="after")
    def _same_stages(self) -> Self:
        if not self.blocks or len(self.blocks) != len(self.channels):
            raise ValueError("blocks and channels need one number for each stage, at least one")
        return self


class ResNet(keras.Model):
    """A residual network: images [N, S, S, B] -> vectors [N, D].

    The first convolution halves the resolution.  The batch normalisation uses moving averages
    outside of the fit, so that the vector of an image does not depend on the others.

    Parameters:
        settings:   `ResNetSettings`.

    >>> ResNet(ResNetSettings())(tf.ones([2, 32, 32, 1])).shape
    TensorShape([2, 128])
    """

    def __init__(self, settings: ResNetSettings) -> None:
        super().__init__(name="resnet")
        self.entry = _convolution(settings.channels[0], strides=2)
        self.norm = keras.layers.BatchNormalization()
        self.stages = [
            [BasicBlock(channels, strides=2 if stage and not number else 1)
             for number in range(count)]
            for stage, (count, channels) in enumerate(
                zip(settings.blocks, settings.channels, strict=True))]

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = tf.nn.relu(self.norm(self.entry(x), training=training))
        for blocks in self.stages:
            for block in blocks:
                x = block(x, training=training)
        return tf.cast(tf.reduce_mean(x, axis=[1, 2]), tf.float32)


class BasicBlock(keras.layers.Layer):
    """Two 3x3 convolutions and a skip connection."""

    def __init__(self, channels: int, strides: int) -> None:
        super().__init__()
        self.channels, self.strides = channels, strides
        self.first, self.second = _convolution(channels, strides), _convolution(channels)
        self.norms = [keras.layers.BatchNormalization() for _ in range(2)]

    def build(self, shape: tuple[int | None, ...]) -> None:
        # The mean of the pixels that a strided convolution of one pixel would leave out, too (He et
        # al. 2018, arXiv:1812.01187).  The gradient of a strided 1x1 convolution also corrupts the
        # memory of the process (TensorFlow 2.21 on a CPU).
        self.pool = keras.layers.AveragePooling2D(self.strides, padding="same")
        self.skip = (_convolution(self.channels, size=1)
                     if self.strides > 1 or shape[-1] != self.channels else None)
        super().build(shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        y = tf.nn.relu(self.norms[0](self.first(x), training=training))
        y = self.norms[1](self.second(y), training=training)
        return tf.nn.relu(y + (x if self.skip is None else self.skip(self.pool(x))))


def _convolution(channels: int, strides: int = 1, size: int = 3) -> keras.layers.Conv2D:
    return keras.layers.Conv2D(channels, size, strides, padding="same", use_bias=False,
                               kernel_initializer="he_normal")
