"""Weights of modules are kept in 16 bits, and computed with in 32: files half as large."""

__all__ = ["Halved"]

import keras
import tensorflow as tf

LARGEST = 65504.0
"""What float16 can hold."""


class Halved:
    """Kernels of networks in float16; their other weights, few in number, as they are.

    The networks themselves are rounded to what their kernels now are, so that they go on making
    what a module of them makes.

    Parameters:
        networks:   A dict of networks or layers.

    Attributes:
        variables:  All weights as they are kept, a list of `tf.Variable`.
    """

    def __init__(self, networks):
        self.variables, self._kernels = [], []
        for network in networks.values():
            for variable in network.variables:
                if self._is_kernel(variable):
                    kernel = tf.cast(variable.value, tf.float16)
                    variable.assign(tf.cast(kernel, tf.float32))
                    self.variables.append(tf.Variable(kernel, trainable=False))
                    self._kernels.append((variable, self.variables[-1]))
                else:
                    self.variables.append(variable.value)

    @staticmethod
    def _is_kernel(variable):
        return (variable.trainable and len(variable.shape) > 1
                and float(tf.reduce_max(tf.abs(variable.value))) < LARGEST)

    def call(self, function):
        """Have a function compute with these weights instead of those of the networks.

        Parameters:
            function:   A function of tensors that runs the networks.
        """
        def run(**inputs):
            kernels = [(variable, tf.cast(half, tf.float32)) for variable, half in self._kernels]
            with keras.StatelessScope(state_mapping=kernels):
                return function(**inputs)

        return run
