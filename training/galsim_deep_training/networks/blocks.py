"""Building blocks of the convolutional networks.

Only activations that TensorFlow's graph optimiser treats rightly are used: on CPU it fuses
convolution, bias, residual sum and ``leaky_relu`` and then ignores the slope (seen in 2.21), so an
exported network could differ from the one that was trained.
"""

__all__ = ["Binomial", "DepthToSpace", "ResidualBlock", "SpaceToDepth", "dense"]

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


@keras.saving.register_keras_serializable("galsim_deep")
class DepthToSpace(keras.layers.Layer):
    """[N, H, W, 4 C] -> [N, 2 H, 2 W, C]: upsampling with no arithmetic."""

    def call(self, x):
        return tf.nn.depth_to_space(x, 2)


@keras.saving.register_keras_serializable("galsim_deep")
class SpaceToDepth(keras.layers.Layer):
    """[N, b H, b W, C] -> [N, H, W, b^2 C]."""

    def __init__(self, block, **kwargs):
        super().__init__(**kwargs)
        self.block = block

    def call(self, x):
        return tf.nn.space_to_depth(x, self.block)


@keras.saving.register_keras_serializable("galsim_deep")
class Binomial(keras.layers.Layer):
    """Smoothing by (1, 2, 1) / 4 along both axes; [N, H, W, 1] -> the same shape.

    Its response at the Nyquist frequency is exactly zero.  A rearrangement of channels into pixels
    can make neighbouring rows or columns alternate, which no PSF lets the data see and hence no
    likelihood removes.
    """

    def call(self, x):
        line = tf.constant([0.25, 0.5, 0.25])
        return tf.nn.conv2d(x, (line[:, None] * line)[:, :, None, None], 1, "SAME")


def dense(units, hidden=(), activation=ACTIVATION, last="glorot_uniform"):
    """A multilayer perceptron; ``last`` initialises the output layer ("zeros" for an identity)."""
    layers = [keras.layers.Dense(n, activation, kernel_initializer="he_normal") for n in hidden]
    return keras.Sequential([*layers, keras.layers.Dense(units, kernel_initializer=last)])
