"""Layers with spectral normalisation (Miyato et al. 2018, arXiv:1802.05957), as in BigGAN.

A layer divides its kernel by its spectral norm (largest singular value), which bounds the Lipschitz
constant of a discriminator. The norm is estimated by power iteration, one step in each training
step. After the fit, `fold_spectral_norm` divides the kernels once and for all, so that the
normalisation costs nothing in an exported module.
"""

__all__ = ["SpectralConv", "SpectralDense", "fold_spectral_norm", "layers_of"]

from typing import Any, TypeVar

import keras
import tensorflow as tf

from .blocks import Shape
from .wrapping import wrapped

LayerT = TypeVar("LayerT", bound=keras.layers.Layer)

INITIAL_DEVIATION = 0.02
"""Standard deviation of the initial weights."""
# All replicas of a distributed fit compute the same norm, since it depends on the weights only.
AGGREGATION = "only_first_replica"


class _SpectralLayer(keras.layers.Layer):
    """A kernel [..., units] with spectral normalisation, and a bias.

    Attributes:
        kernel:             The kernel before normalisation.
        singular_vector:    Estimate of its first right singular vector, [1, units].
        norm:               Estimate of its spectral norm; one before the first training step.
    """

    def __init__(self, units: int, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.use_bias = units, use_bias

    def _add_weights(self, kernel_shape: Shape) -> None:
        # Keras must not cast these to 16 bits: the norm would lose its precision.
        self.kernel = self.add_weight(
            shape=kernel_shape, initializer=keras.initializers.RandomNormal(
                stddev=INITIAL_DEVIATION), autocast=False, name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros",
                                    name="bias") if self.use_bias else None
        self.singular_vector = self.add_weight(
            shape=(1, self.units), initializer=keras.initializers.RandomNormal(), trainable=False,
            autocast=False, aggregation=AGGREGATION, name="singular_vector")
        self.norm = self.add_weight(shape=(), initializer="ones", trainable=False, autocast=False,
                                    aggregation=AGGREGATION, name="norm")

    def _normalised_kernel(self, training: bool) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.kernel)
        norm = tf.convert_to_tensor(self.norm)
        if training:
            norm = self._power_iteration(kernel, steps=1)
            self.norm.assign(tf.stop_gradient(norm))
        return tf.cast(kernel / norm, self.compute_dtype)

    def _power_iteration(self, kernel: tf.Tensor, steps: int) -> tf.Tensor:
        """Update the singular vector by power iteration and return the spectral norm, a scalar.

        The gradient of the norm treats the singular vectors as constant.
        """
        matrix = tf.reshape(kernel, [-1, self.units])
        constant, right = tf.stop_gradient(matrix), tf.convert_to_tensor(self.singular_vector)
        for _ in range(steps):
            left = tf.math.l2_normalize(tf.matmul(right, constant, transpose_b=True))
            right = tf.math.l2_normalize(tf.matmul(left, constant))
        self.singular_vector.assign(right)
        return tf.matmul(tf.matmul(left, matrix), right, transpose_b=True)[0, 0]

    def fold_spectral_norm(self) -> None:
        """Divide the kernel by its spectral norm, computed by 50 steps of power iteration."""
        kernel = tf.convert_to_tensor(self.kernel)
        self.kernel.assign(kernel / self._power_iteration(kernel, steps=50))
        self.norm.assign(1.0)


class SpectralDense(_SpectralLayer):
    """Dense layer with spectral normalisation, [N, D] -> [N, units].

    Parameters:
        units:      Units.
        use_bias:   Whether there is a bias.

    >>> layer = SpectralDense(1, use_bias=False)
    >>> _ = layer(tf.ones([1, 3]))
    >>> _ = layer.kernel.assign([[2.0], [0.0], [0.0]])
    >>> layer(tf.ones([1, 3]), training=True).numpy().round(3)
    array([[1.]], dtype=float32)
    """

    def build(self, shape: Shape) -> None:
        self._add_weights((shape[-1], self.units))
        super().build(shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = tf.matmul(x, self._normalised_kernel(training))
        return x if self.bias is None else x + self.bias


class SpectralConv(_SpectralLayer):
    """Convolution with spectral normalisation, [N, H, W, D] -> [N, H, W, units].

    Parameters:
        units:      Channels of the output.
        size:       Width of the kernel [pixels].
        use_bias:   Whether there is a bias.
        wraps:      Whether the images are polar grids, see `networks.wrapping`.

    >>> SpectralConv(4, size=3)(tf.ones([2, 8, 8, 5])).shape
    TensorShape([2, 8, 8, 4])
    """

    def __init__(self, units: int, size: int, use_bias: bool = True, wraps: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(units, use_bias, **kwargs)
        self.size = size
        # A kernel of one pixel needs no padding.
        self.wraps = wraps and size > 1

    def build(self, shape: Shape) -> None:
        self._add_weights((self.size, self.size, shape[-1], self.units))
        super().build(shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        kernel = self._normalised_kernel(training)
        x = (tf.nn.conv2d(wrapped(x, self.size // 2), kernel, 1, "VALID") if self.wraps
             else tf.nn.conv2d(x, kernel, 1, "SAME"))
        return x if self.bias is None else x + self.bias


def layers_of(network: keras.layers.Layer, kind: type[LayerT]) -> list[LayerT]:
    """All layers of a class within a network, the network itself included.

    >>> [layer.units for layer in layers_of(keras.Sequential([SpectralDense(3)]), SpectralDense)]
    [3]
    """
    return [layer for layer in network._flatten_layers() if isinstance(layer, kind)]


def fold_spectral_norm(network: keras.layers.Layer) -> None:
    """Divide the kernels of all layers of a network by their spectral norms, after the fit.

    >>> layer = SpectralDense(1, use_bias=False)
    >>> _ = layer(tf.ones([1, 2]))
    >>> _ = layer.kernel.assign([[0.0], [5.0]])
    >>> fold_spectral_norm(layer)
    >>> layer.kernel.numpy().ravel().round(3)
    array([0., 1.], dtype=float32)
    """
    for layer in layers_of(network, _SpectralLayer):
        layer.fold_spectral_norm()
