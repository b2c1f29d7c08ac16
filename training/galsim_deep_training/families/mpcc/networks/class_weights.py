"""Frequencies of the classes, given the columns."""

__all__ = ["ClassWeights"]

import keras
import tensorflow as tf

from ....networks.blocks import mlp


class ClassWeights(keras.Model):
    """p(y | columns): the softmax of a small network. All classes are equally frequent at first.

    Parameters:
        classes:        Number of classes, K.
        columns:        Number of columns, C; 0 for frequencies that do not depend on any.
        hidden:         Units of the hidden layer.

    >>> weights = ClassWeights(classes=4, columns=2)
    >>> tf.exp(weights(tf.zeros([1, 2]))).numpy().round(3)
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    def __init__(self, classes: int, columns: int, hidden: int = 32) -> None:
        super().__init__(name="class_weights", dtype="float32")
        self.bias = self.add_weight(shape=(classes,), initializer="zeros", name="bias")
        self.network = None
        if columns:
            self.network = mlp(classes, (hidden,), output_initializer="zeros")
            self.network.build((None, columns))
        self.built = True

    def call(self, conditions: tf.Tensor) -> tf.Tensor:
        """Log-probabilities of the classes, [N, K], given standardised columns, [N, C]."""
        count = tf.shape(conditions)[0]
        logits = tf.tile(tf.convert_to_tensor(self.bias)[None], [count, 1])
        if self.network is not None:
            logits += self.network(conditions)
        return tf.nn.log_softmax(logits)
