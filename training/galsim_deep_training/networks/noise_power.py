"""The power spectrum of the noise that a module was trained with."""

__all__ = ["NoisePower"]

import keras
import numpy as np
import tensorflow as tf


class NoisePower(keras.layers.Layer):
    """The mean power spectrum of the noise of some training examples, over that of white noise.

    Parameters:
        size:       Pixels S on a side of the stamps.
    """

    def __init__(self, size):
        super().__init__(name="noise")
        self.power = self.add_weight(shape=(1, size, size // 2 + 1), initializer="ones",
                                     trainable=False, name="power")

    def adapt(self, dataset):
        """Take it from a `Dataset`."""
        rows = dataset.train_indices[:256]
        self.power.assign(np.mean(dataset.read(rows)["noise_power"], axis=0, keepdims=True))

    def spectrum(self):
        """[1, S, S//2 + 1]."""
        return tf.convert_to_tensor(self.power)
