"""Building blocks of the convolutional networks.

Only activations that TensorFlow's graph optimiser treats rightly are used: on CPU it fuses
convolution, bias, residual sum and ``leaky_relu`` and then ignores the slope (seen in 2.21), so an
exported network could differ from the one that was trained.
"""

__all__ = ["ResidualBlock", "bounded_scale", "dense", "softplus"]

import keras
import tensorflow as tf

ACTIVATION = "relu"


@keras.saving.register_keras_serializable("galsim_deep")
class ResidualBlock(keras.layers.Layer):
    """x + s * conv(act(conv(act(x)))), two 3x3 convolutions; [N, H, W, C] -> the same shape.

    There is no normalisation layer: it would tie a galaxy to the flux of the others in the batch.
    The small scale s keeps deep stacks near the identity when the fit starts.
    """

    scale = 0.2

    def __init__(self, channels, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = (
            keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer="he_normal")
            for _ in range(2))

    def call(self, x):
        y = self.first(keras.activations.get(ACTIVATION)(x))
        return x + self.scale * self.second(keras.activations.get(ACTIVATION)(y))


def dense(units, hidden=(), activation=ACTIVATION, last="glorot_uniform"):
    """A multilayer perceptron; ``last`` initialises the output layer ("zeros" for an identity).

    What it returns is float32, whatever the dtype policy says.
    """
    layers = [keras.layers.Dense(n, activation, kernel_initializer="he_normal") for n in hidden]
    return keras.Sequential(
        [*layers, keras.layers.Dense(units, kernel_initializer=last, dtype="float32")])


def bounded_scale(raw):
    """A positive scale from any number: exp of it, but between e^-4 and e^4."""
    return tf.exp(4.0 * tf.tanh(raw / 4.0))


def softplus(x):
    """log(1 + exp(x)), precise where it is small as well, in compact graphs too.

    They have no log1p: log((1 + s) / (1 - s)) = 2 (s + s^3/3 + ...) with s at most 1/3.
    """
    small = tf.exp(-tf.abs(x))
    s = small / (2.0 + small)
    square, series = tf.square(s), 1.0 / 17
    for power in range(15, 0, -2):
        series = 1.0 / power + square * series
    return tf.nn.relu(x) + 2.0 * s * series
