"""Batch normalisation whose gain and bias depend on a condition, with standing statistics.

While a generator is trained, means and variances are those of the batch at hand.  For a module
they must not depend on what else is in a batch, and running averages lag behind weights that are
averages themselves.  So the generator, done, is run on some batches once more, and the statistics
are aggregated (Brock et al. 2019, "standing statistics").
"""

__all__ = ["StandingNorm", "take_statistics"]

import keras
import tensorflow as tf

from .spectral import SpectralDense, layers_of

EPSILON = 1e-4


class StandingNorm(keras.layers.Layer):
    """(x - mean) / deviation * (1 + gain(condition)) + bias(condition), for each channel.

    [N, H, W, C], [N, D] -> [N, H, W, C].  Without a condition gain and bias are weights.  Mean and
    deviation are those of the batch in training, and where ``batchwise`` says so.
    """

    def __init__(self, conditional=True, **kwargs):
        super().__init__(**kwargs)
        self.conditional = conditional
        self.collecting = False

    def build(self, x_shape, condition_shape=None):
        channels = x_shape[-1]
        self.total_mean, self.total_variance = (
            self.add_weight(shape=(channels,), initializer="zeros", trainable=False,
                            autocast=False, name=name)
            for name in ("total_mean", "total_variance"))
        self.batches = self.add_weight(shape=(), initializer="zeros", trainable=False,
                                       autocast=False, name="batches")
        if self.conditional:
            self.affine = SpectralDense(2 * channels, use_bias=False)
            self.affine.build(condition_shape)
        else:
            self.gain, self.bias = (
                self.add_weight(shape=(channels,), initializer="zeros", name=name)
                for name in ("gain", "bias"))
        super().build(x_shape)

    def call(self, x, condition=None, training=False, batchwise=False):
        if training or batchwise or self.collecting:
            channels = tf.ones([x.shape[-1]])
            # Several times as fast as moments and a division, and as precise.
            x, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                x, channels, 0.0 * channels, epsilon=EPSILON, is_training=True)
            if self.collecting:
                self.total_mean.assign_add(mean)
                self.total_variance.assign_add(variance)
                self.batches.assign_add(1.0)
        else:
            mean, variance = self._standing()
            x = (tf.cast(x, tf.float32) - mean) * tf.math.rsqrt(variance + EPSILON)
            x = tf.cast(x, self.compute_dtype)
        if self.conditional:
            both = self.affine(condition, training=training)
            gain, bias = tf.split(both[:, None, None, :], 2, axis=-1)
        else:
            gain, bias = self.gain, self.bias
        return x * (1.0 + gain) + bias

    def _standing(self):
        batches = tf.convert_to_tensor(self.batches)
        count = tf.maximum(batches, 1.0)
        # As it is where nothing has been collected yet.
        return self.total_mean / count, tf.where(batches > 0, self.total_variance / count, 1.0)

    def forget(self):
        """Begin to collect anew."""
        for weight in (self.total_mean, self.total_variance, self.batches):
            weight.assign(tf.zeros_like(weight))


def take_statistics(network, run, batches=16):
    """Aggregate the statistics of a network over some batches.

    Parameters:
        network:    The network; all its `StandingNorm` layers forget what they knew.
        run:        A function of the number of a batch that runs the network on it, not in a graph.
        batches:    How many.
    """
    norms = layers_of(network, StandingNorm)
    for norm in norms:
        norm.forget()
        norm.collecting = True
    try:
        for number in range(batches):
            run(number)
    finally:
        for norm in norms:
            norm.collecting = False
