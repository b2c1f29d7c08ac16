"""How frequent the classes are, given the columns."""

__all__ = ["ClassWeights"]

import keras
import tensorflow as tf

from .blocks import dense


class ClassWeights(keras.Model):
    """p(y | columns): a softmax of a small network; all alike at first.

    Parameters:
        classes:        K.
        columns:        C; 0 for weights that depend on nothing.
        hidden:         Units of the hidden layer.
    """

    def __init__(self, classes, columns, hidden=32):
        super().__init__(name="class_weights", dtype="float32")
        self.bias = self.add_weight(shape=(classes,), initializer="zeros", name="bias")
        self.network = None
        if columns:
            self.network = dense(classes, (hidden,), last="zeros")
            self.network.build((None, columns))
        self.built = True

    def call(self, context):
        """Logarithms of the weights for standardised columns [N, C]: [N, K]."""
        count = tf.shape(context)[0]
        raw = tf.tile(tf.convert_to_tensor(self.bias)[None], [count, 1])
        if self.network is not None:
            raw += self.network(context)
        return tf.nn.log_softmax(raw)
