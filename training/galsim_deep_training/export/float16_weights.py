"""Weights of modules are stored with 16 bits and computed with in 32 bits, which halves the files.
"""

__all__ = ["Float16Weights"]

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

LARGEST = 65504.0
"""The largest number that float16 can hold."""


class Float16Weights:
    """Kernels of networks in float16; their other weights, which are few, as they are.

    The kernels of the networks themselves are rounded to the same values, so that the networks and
    a module of them compute the same.

    Parameters:
        networks:           Networks or layers by name.
        significant_bits:   Bits of a kernel that are kept; fewer make the file of the compact
                            graph, which is compressed, smaller.  [default: 11, those of float16]

    Attributes:
        variables:  All weights as they are stored, a list of `tf.Variable`.

    >>> layer = keras.layers.Dense(2)
    >>> layer.build((None, 3))
    >>> weights = Float16Weights(dict(layer=layer))
    >>> [variable.dtype.name for variable in weights.variables]  # the kernel, and the bias
    ['float16', 'float32']
    >>> weights.call(lambda x: dict(y=layer(x)))(x=tf.ones([1, 3]))["y"].shape
    TensorShape([1, 2])
    """

    def __init__(self, networks: Mapping[str, keras.layers.Layer],
                 significant_bits: int = 11) -> None:
        self.variables: list[tf.Variable] = []
        self._kernels: list[tuple[keras.Variable, tf.Variable]] = []
        for network in networks.values():
            for variable in network.variables:
                if self._is_kernel(variable):
                    kernel = tf.constant(
                        _rounded(variable.numpy(), significant_bits), tf.float16)
                    variable.assign(tf.cast(kernel, tf.float32))
                    self.variables.append(tf.Variable(kernel, trainable=False))
                    self._kernels.append((variable, self.variables[-1]))
                else:
                    self.variables.append(variable.value)

    @staticmethod
    def _is_kernel(variable: keras.Variable) -> bool:
        return (variable.trainable and len(variable.shape) > 1
                and float(tf.reduce_max(tf.abs(variable.value))) < LARGEST)

    def call(self, function: Callable[..., dict[str, tf.Tensor]],
             ) -> Callable[..., dict[str, tf.Tensor]]:
        """The same function, computed with these weights instead of those of the networks.

        Parameters:
            function:   A function of tensors that runs the networks.
        """
        def run(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            with _Kernels(self._kernels):
                return function(**inputs)

        return run


class _Kernels(keras.StatelessScope):
    """A scope in which kernels have the values of other variables, which are read when they are
    used: a function then depends only on those that it uses."""

    def __init__(self, kernels: list[tuple[keras.Variable, tf.Variable]]) -> None:
        super().__init__()
        self._halves = {id(variable): half for variable, half in kernels}

    def get_current_value(self, variable: keras.Variable) -> tf.Tensor | None:
        half = self._halves.get(id(variable))
        return None if half is None else tf.cast(half, tf.float32)


def _rounded(values: np.ndarray, significant_bits: int) -> np.ndarray:
    """Values rounded to so many significant binary digits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, significant_bits)), exponent - significant_bits)
