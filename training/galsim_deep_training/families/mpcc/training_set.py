"""Properties of the training set that the simulation of stamps needs."""

__all__ = ["TrainingSet"]

import keras
import numpy as np
from galsim import GalSimConfigError

from ...data.dataset import Dataset
from ...recipe import Recipe


class TrainingSet(keras.layers.Layer):
    """Properties of a training set that are the same for all of its stamps.

    They are saved with the networks, so that a phase can continue from a checkpoint.

    Parameters:
        classes:    Number of classes, K.

    Attributes:
        class_shares:   Fractions of the classes in the fit, [1, K]: equal, or those of the labels.
        clipping:       (threshold, peak) of `galsim_deep.observations.clipping`, in units of the
                        noise, [2]; zeros if the stamps are not clipped.

    Example::

        >>> TrainingSet(classes=4).class_shares.numpy()
        array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    def __init__(self, classes: int) -> None:
        super().__init__(name="training_set", dtype="float32")
        self.class_shares = self.add_weight(
            shape=(1, classes), initializer=keras.initializers.Constant(1.0 / classes),
            trainable=False, name="class_shares")
        self.clipping = self.add_weight(
            shape=(2,), initializer="zeros", trainable=False, name="clipping")
        self.built = True

    def adapt(self, dataset: Dataset, supervised: bool, recipe: Recipe) -> None:
        """Take the properties from a data set.

        Parameters:
            dataset:        The data set.
            supervised:     Whether the classes are its labels.
            recipe:         The recipe, for error messages.

        Raises:
            galsim.GalSimConfigError: if labels are not those of the classes, or a class has no
                training stamp.
        """
        self.clipping.assign(dataset.clipping or (0.0, 0.0))
        if not supervised:
            return
        labels, classes = dataset.label, self.class_shares.shape[1]
        if labels.min() < 0 or labels.max() >= classes:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.classes.supervised: the labels of the stamps are "
                f"from {labels.min()} to {labels.max()} (-1: not known); there are {classes} "
                "classes, from 0.")
        counts = np.bincount(labels[dataset.train_indices], minlength=classes)
        if not counts.all():
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.classes.supervised: no stamp for training has "
                f"the label {np.flatnonzero(counts == 0)[0]}.")
        self.class_shares.assign((counts[None] / counts.sum()).astype(np.float32))
