"""Building blocks of the networks.

The networks use only activations that TensorFlow's graph optimiser handles correctly. On a CPU it
fuses convolution, bias, residual sum and ``leaky_relu`` and then ignores the slope of the latter
(TensorFlow 2.21), so that an exported network could differ from the trained one.
"""

__all__ = ["ACTIVATION", "ResidualBlock", "Shape", "bounded", "bounded_scale", "mlp", "softplus"]

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

ACTIVATION = "relu"
"""Activation of residual blocks, multilayer perceptrons and flows."""

Shape = tuple[Any, ...]
"""Shape of a tensor: integers, or None for a size that is not known yet."""


@keras.saving.register_keras_serializable("galsim_deep")
class ResidualBlock(keras.layers.Layer):
    """Residual block of two 3x3 convolutions: ``x + 0.2 conv(relu(conv(relu(x))))``.

    Pre-activation order as in He et al. 2016 (arXiv:1603.05027). There is no normalisation layer,
    which would make the result for a galaxy depend on the flux of the others in the batch. Instead,
    the factor 0.2 keeps deep networks near the identity at the start of the fit.

    Parameters:
        channels:       Channels C of input and output, [N, H, W, C].
        convolution:    The class of the convolutions.

    >>> ResidualBlock(4)(tf.ones([2, 8, 8, 4])).shape
    TensorShape([2, 8, 8, 4])
    """

    scale = 0.2

    def __init__(self, channels: int, convolution: type[keras.layers.Conv2D] = keras.layers.Conv2D,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.second = (
            convolution(channels, 3, padding="same", kernel_initializer="he_normal")
            for _ in range(2))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        y = self.first(keras.activations.get(ACTIVATION)(x))
        return x + self.scale * self.second(keras.activations.get(ACTIVATION)(y))


def mlp(units: int, hidden: Sequence[int] = (), activation: str = ACTIVATION,
        output_initializer: str = "glorot_uniform") -> keras.Sequential:
    """Make a multilayer perceptron.

    Parameters:
        units:                  Units of the output layer, which is linear.
        hidden:                 Units of each hidden layer.
        activation:             Activation of the hidden layers.
        output_initializer:     Initialises the weights of the output layer; "zeros" for a network
                                that starts with an output of zero.

    Returns:
        a network [N, D] -> [N, units] whose output is float32 under any dtype policy.

    >>> mlp(3, hidden=(8, 8), output_initializer="zeros")(tf.ones([1, 5])).numpy()
    array([[0., 0., 0.]], dtype=float32)
    """
    layers = [keras.layers.Dense(n, activation, kernel_initializer="he_normal") for n in hidden]
    return keras.Sequential([
        *layers, keras.layers.Dense(units, kernel_initializer=output_initializer, dtype="float32")])


def bounded(raw: tf.Tensor, bound: float = 2.0) -> tf.Tensor:
    """Map real numbers smoothly to (-bound, bound): ``bound tanh(raw / bound)``.

    It is the identity near zero, and has a gradient everywhere, unlike clipping.

    >>> bounded(tf.constant([-1e6, 0.1, 1e6])).numpy().round(3)
    array([-2. ,  0.1,  2. ], dtype=float32)
    """
    return bound * tf.tanh(raw / bound)


def bounded_scale(raw: tf.Tensor) -> tf.Tensor:
    """Map real numbers to positive scales between e^-4 and e^4: ``exp(4 tanh(raw / 4))``.

    >>> bounded_scale(tf.constant([-1e6, -1.0, 0.0])).numpy().round(3)
    array([0.018, 0.375, 1.   ], dtype=float32)
    """
    return tf.exp(bounded(raw, 4.0))


def softplus(x: tf.Tensor) -> tf.Tensor:
    """Compute ``log(1 + exp(x))`` with small relative error, in compact graphs too.

    LiteRT has no ``log1p``. With ``s = e^-|x| / (2 + e^-|x|)``, at most 1/3, the series
    ``log((1 + s) / (1 - s)) = 2 (s + s^3/3 + s^5/5 + ...)`` converges quickly.

    >>> print(f"{float(softplus(tf.constant(-20.0))):.4e}")
    2.0612e-09
    """
    small = tf.exp(-tf.abs(x))
    s = small / (2.0 + small)
    square, series = tf.square(s), 1.0 / 17
    for power in range(15, 0, -2):
        series = 1.0 / power + square * series
    return tf.nn.relu(x) + 2.0 * s * series
