"""The noise power spectrum of the training data, as a layer that is saved with a module."""

__all__ = ["NoisePower"]

import keras
import numpy as np
import tensorflow as tf

from ..data.dataset import Dataset


class NoisePower(keras.layers.Layer):
    """Mean power spectrum of the noise of training stamps, relative to white noise.

    It is one (white noise) until `adapt` is called.

    Parameters:
        size:       Pixels S on a side of the stamps.

    >>> NoisePower(8).spectrum().shape
    TensorShape([1, 8, 5])
    """

    def __init__(self, size: int) -> None:
        super().__init__(name="noise")
        self.power = self.add_weight(shape=(1, size, size // 2 + 1), initializer="ones",
                                     trainable=False, name="power")

    def adapt(self, dataset: Dataset) -> None:
        """Set the spectrum to the mean over the first 256 training stamps of a data set."""
        rows = dataset.train_indices[:256]
        self.power.assign(np.mean(dataset.read(rows)["noise_power"], axis=0, keepdims=True))

    def spectrum(self) -> tf.Tensor:
        """The power spectrum in the layout of `tf.signal.rfft2d`, float32 [1, S, S//2 + 1]."""
        return tf.convert_to_tensor(self.power)
