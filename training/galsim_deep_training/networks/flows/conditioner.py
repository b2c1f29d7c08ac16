"""The networks that compute the parameters of the transformations of a flow."""

__all__ = ["Conditioner"]

from collections.abc import Sequence

import keras
import tensorflow as tf
from numpy.typing import NDArray

from ..blocks import ACTIVATION, Shape


class Conditioner(keras.layers.Layer):
    """Multilayer perceptron of some numbers and conditions, optionally masked.

    Parameters:
        hidden:                 Units of each hidden layer.
        units:                  Units of the output layer.
        masks:                  For an autoregressive network, a bool array [inputs, units] for each
                                layer that says which weights may differ from zero, see
                                `autoregressive.autoregressive_masks`. Conditions are never masked.
                                [default: no masks]
        output_initializer:     Initialises the output layer.  [default: "zeros", so that a flow
                                starts as the identity]
        seed:                   Determines the initial weights.  [default: the global seed of Keras]

    >>> conditioner = Conditioner(hidden=(8,), units=3)
    >>> conditioner(tf.ones([2, 4]), tf.ones([2, 1])).numpy()
    array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """

    def __init__(self, hidden: Sequence[int], units: int,
                 masks: Sequence[NDArray] | None = None, output_initializer: str = "zeros",
                 seed: int | None = None) -> None:
        super().__init__(dtype="float32")
        self.widths = (*hidden, units)
        self.masks, self.output_initializer, self.seed = masks, output_initializer, seed

    def build(self, x_shape: Shape, conditions_shape: Shape) -> None:
        self.layer_weights = []
        inputs = x_shape[-1] + conditions_shape[-1]
        for number, units in enumerate(self.widths):
            is_output = number == len(self.widths) - 1
            initializer = self.output_initializer if is_output else keras.initializers.HeNormal(
                None if self.seed is None else self.seed + number)
            self.layer_weights.append((
                self.add_weight(shape=(inputs, units), name=f"kernel_{number}",
                                initializer=initializer),
                self.add_weight(shape=(units,), initializer="zeros", name=f"bias_{number}")))
            inputs = units
        super().build((x_shape, conditions_shape))

    def call(self, x: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Compute parameters [N, units] from numbers [N, D] and conditions [N, C]."""
        activation = keras.activations.get(ACTIVATION)
        for number, (kernel, bias) in enumerate(self.layer_weights):
            kernel = tf.convert_to_tensor(kernel)
            if self.masks is not None:
                # As a constant of bool, the mask takes a quarter of the space in a module.
                mask = tf.cast(tf.constant(self.masks[number]), tf.float32)
                if number == 0:
                    unmasked = tf.ones([conditions.shape[-1], mask.shape[1]])
                    mask = tf.concat([mask, unmasked], axis=0)
                kernel = kernel * mask
            if number == 0:
                x = tf.concat([x, conditions], axis=-1)
            x = tf.matmul(x, kernel) + bias
            if number < len(self.layer_weights) - 1:
                x = activation(x)
        return x
