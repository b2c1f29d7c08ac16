"""Conditional batch normalisation with standing statistics.

The gain and the bias of the normalisation depend on a condition (de Vries et al. 2017,
arXiv:1707.00683; Brock et al. 2019, arXiv:1809.11096). During the fit, mean and variance are those
of the batch. In an exported module they must not depend on the other galaxies of a batch, and
running averages would not belong to the averaged weights that are exported. Therefore, after the
fit, the generator is run on a number of batches and their statistics are aggregated ("standing
statistics", Brock et al. 2019).
"""

__all__ = ["ConditionalBatchNorm", "collect_statistics"]

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from .blocks import Shape
from .spectral import SpectralDense, layers_of

EPSILON = 1e-4
"""Added to the variance."""


class ConditionalBatchNorm(keras.layers.Layer):
    """Batch normalisation with conditional gain and bias.

    ``(x - mean) / deviation * (1 + gain(condition)) + bias(condition)`` for each channel, where
    gain and bias are linear functions of the condition. Mean and deviation are those of the batch
    during training, and the standing statistics otherwise; before these are collected, the mean is
    zero and the deviation one.

    Parameters:
        conditional:    Whether there is a condition. If not, gain and bias are weights.

    >>> norm = ConditionalBatchNorm()
    >>> x = tf.random.stateless_normal([8, 4, 4, 3], seed=[1, 2])
    >>> y = norm(x, tf.ones([8, 5]), training=True)
    >>> y.shape
    TensorShape([8, 4, 4, 3])
    """

    def __init__(self, conditional: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conditional = conditional
        self.collecting = False

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        channels = x_shape[-1]
        self.total_mean, self.total_variance = (
            self.add_weight(shape=(channels,), initializer="zeros", trainable=False,
                            autocast=False, name=name)
            for name in ("total_mean", "total_variance"))
        self.batches = self.add_weight(shape=(), initializer="zeros", trainable=False,
                                       autocast=False, name="batches")
        if self.conditional:
            self.affine = SpectralDense(2 * channels, use_bias=False)
            assert condition_shape is not None
            self.affine.build(condition_shape)
        else:
            self.gain, self.bias = (
                self.add_weight(shape=(channels,), initializer="zeros", name=name)
                for name in ("gain", "bias"))
        super().build(x_shape)

    def call(self, x: tf.Tensor, condition: tf.Tensor | None = None, training: bool = False,
             batchwise: bool = False) -> tf.Tensor:
        """Normalise.

        Parameters:
            x:              [N, H, W, C].
            condition:      [N, D], if the layer is conditional.
            training:       Whether to use the statistics of the batch, and to update the spectral
                            norm.
            batchwise:      Whether to use the statistics of the batch outside of training.

        Returns:
            [N, H, W, C].
        """
        if training or batchwise or self.collecting:
            channels = tf.ones([x.shape[-1]])
            # Several times as fast as `tf.nn.moments` and a division, and as precise.
            x, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                x, channels, 0.0 * channels, epsilon=EPSILON, is_training=True)
            if self.collecting:
                self.total_mean.assign_add(mean)
                self.total_variance.assign_add(variance)
                self.batches.assign_add(1.0)
        else:
            mean, variance = self._standing_statistics()
            x = (tf.cast(x, tf.float32) - mean) * tf.math.rsqrt(variance + EPSILON)
            x = tf.cast(x, self.compute_dtype)
        if self.conditional:
            gain_and_bias = self.affine(condition, training=training)
            gain, bias = tf.split(gain_and_bias[:, None, None, :], 2, axis=-1)
        else:
            gain, bias = self.gain, self.bias
        return x * (1.0 + gain) + bias

    def _standing_statistics(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance over the batches that were collected, [C] each."""
        batches = tf.convert_to_tensor(self.batches)
        count = tf.maximum(batches, 1.0)
        return self.total_mean / count, tf.where(batches > 0, self.total_variance / count, 1.0)

    def reset_statistics(self) -> None:
        """Discard the standing statistics."""
        for weight in (self.total_mean, self.total_variance, self.batches):
            weight.assign(tf.zeros_like(weight))


def collect_statistics(network: keras.layers.Layer, run: Callable[[int], Any],
                       batches: int = 16) -> None:
    """Replace the standing statistics of a network by those of some batches.

    Parameters:
        network:    A network with `ConditionalBatchNorm` layers.
        run:        A function that runs the network on batch number i, eagerly.
        batches:    Number of batches.

    >>> norm = ConditionalBatchNorm(conditional=False)
    >>> x = 3.0 + tf.random.stateless_normal([8, 16, 16, 1], seed=[1, 2])
    >>> _ = norm(x)
    >>> collect_statistics(norm, lambda index: norm(x), batches=2)
    >>> bool(abs(tf.reduce_mean(norm(x))) < 1e-4)
    True
    """
    norms = layers_of(network, ConditionalBatchNorm)
    for norm in norms:
        norm.reset_statistics()
        norm.collecting = True
    try:
        for index in range(batches):
            run(index)
    finally:
        for norm in norms:
            norm.collecting = False
