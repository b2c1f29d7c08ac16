"""Layers whose weights have a spectral norm of one (Miyato et al. 2018), as BigGAN has them.

A layer that cannot stretch any input by more than a factor keeps a discriminator from becoming so
steep that nothing can be learned from it.  The norm is followed by one step of the power iteration
each time the layer is trained; a layer that is done with is `settled`: its weights are divided by
their norm once and for all, and cost nothing more.
"""

__all__ = ["SpectralConv", "SpectralDense", "accounts", "layers_of", "settle"]

import keras
import tensorflow as tf

INITIAL = 0.02
"""Standard deviation of the first weights."""
# Devices that share a batch all find the same norm: it is that of the weights.
ALIKE = "only_first_replica"


class _Spectral(keras.layers.Layer):
    """Keeps a kernel [..., units], a bias and the largest singular value of the former."""

    def __init__(self, units, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.units, self.use_bias = units, use_bias

    def _make(self, shape):
        # Not cast to 16 bits by Keras: the norm is a difference of large numbers.
        self.kernel = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomNormal(stddev=INITIAL),
            autocast=False, name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros",
                                    name="bias") if self.use_bias else None
        self.direction = self.add_weight(
            shape=(1, self.units), initializer=keras.initializers.RandomNormal(), trainable=False,
            autocast=False, aggregation=ALIKE, name="direction")
        # Until it is trained, a kernel is taken as it is.
        self.norm = self.add_weight(shape=(), initializer="ones", trainable=False, autocast=False,
                                    aggregation=ALIKE, name="norm")

    def _normalised(self, training):
        kernel = tf.convert_to_tensor(self.kernel)
        norm = tf.convert_to_tensor(self.norm)
        if training:
            norm = self._follow(kernel, 1)
            self.norm.assign(tf.stop_gradient(norm))
        return tf.cast(kernel / norm, self.compute_dtype)

    def _follow(self, kernel, steps):
        """The largest singular value, as the power iteration knows it after so many more steps."""
        matrix = tf.reshape(kernel, [-1, self.units])
        fixed, direction = tf.stop_gradient(matrix), tf.convert_to_tensor(self.direction)
        for _ in range(steps):
            left = tf.math.l2_normalize(tf.matmul(direction, fixed, transpose_b=True))
            direction = tf.math.l2_normalize(tf.matmul(left, fixed))
        self.direction.assign(direction)
        return tf.matmul(tf.matmul(left, matrix), direction, transpose_b=True)[0, 0]

    def settle(self):
        """Divide the kernel by its norm, for good."""
        kernel = tf.convert_to_tensor(self.kernel)
        self.kernel.assign(kernel / self._follow(kernel, 50))
        self.norm.assign(1.0)


class SpectralDense(_Spectral):
    """[N, D] -> [N, units]."""

    def build(self, shape):
        self._make((shape[-1], self.units))
        super().build(shape)

    def call(self, x, training=False):
        x = tf.matmul(x, self._normalised(training))
        return x if self.bias is None else x + self.bias


class SpectralConv(_Spectral):
    """[N, H, W, D] -> [N, H, W, units], a convolution with ``size`` x ``size`` kernels."""

    def __init__(self, units, size, use_bias=True, **kwargs):
        super().__init__(units, use_bias, **kwargs)
        self.size = size

    def build(self, shape):
        self._make((self.size, self.size, shape[-1], self.units))
        super().build(shape)

    def call(self, x, training=False):
        x = tf.nn.conv2d(x, self._normalised(training), 1, "SAME")
        return x if self.bias is None else x + self.bias


def layers_of(network, kind):
    """All layers of a network, itself included, that are of some kind."""
    return [layer for layer in network._flatten_layers() if isinstance(layer, kind)]


def accounts(networks):
    """What layers keep account of besides their weights, for checkpoints: {name: [variables]}.

    TensorFlow's checkpoints do not look into lists of layers, as Keras keeps them; weights are
    found through the optimiser, which knows them, but these would be lost.

    Parameters:
        networks:   A dict of networks.
    """
    return {name: [variable.value for variable in network.non_trainable_variables]
            for name, network in networks.items()}


def settle(network):
    """Settle all layers of a network."""
    for layer in layers_of(network, _Spectral):
        layer.settle()
