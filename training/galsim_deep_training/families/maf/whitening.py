"""Whitening of embeddings: zero mean and unit variance in the training set."""

__all__ = ["KINDS", "Whitening"]

from typing import Literal, get_args

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimError
from numpy.typing import ArrayLike

Kind = Literal["principal_components", "deviation", "none"]
KINDS: tuple[str, ...] = get_args(Kind)
"""What may be divided out: the variance of the principal components, that of each number, or
nothing."""


class Whitening(keras.layers.Layer):
    """An affine transformation of embeddings, ``x = (z - mean) W``, and its inverse.

    With ``principal_components``, x are the principal components of the training set, the one of
    the largest variance first, each divided by its standard deviation; with ``deviation``, the
    numbers of the embedding themselves, each divided by its own; with ``none``, x is z.

    Directions in which the training set hardly varies, such as latents that an encoder does not
    use, would be divided by almost zero, and rounding errors there would decide how probable an
    embedding is.  Standard deviations are therefore at least a fraction of the largest one.

    Parameters:
        size:               Numbers in an embedding, K.
        kind:               One of `KINDS`.
        least_deviation:    This fraction.

    Attributes:
        mean:       [K].
        matrix:     W, [K, K].
        inverse:    The inverse of W, [K, K].
        log_det:    The logarithm of the absolute value of its determinant.

    >>> whitening = Whitening(2, "deviation", least_deviation=0.001)
    >>> whitening.adapt([[1.0, -4.0], [3.0, 4.0]])
    >>> whitening(tf.constant([[2.0, 4.0], [4.0, 0.0]])).numpy()
    array([[0., 1.],
           [2., 0.]], dtype=float32)
    >>> whitening.undo([[2.0, 0.0]]).numpy()
    array([[4., 0.]], dtype=float32)
    >>> round(float(whitening.log_det), 4)  # -ln(4)
    -1.3863
    """

    def __init__(self, size: int, kind: Kind, least_deviation: float) -> None:
        super().__init__(name="whitening", dtype="float32")
        self.kind, self.least_deviation = kind, least_deviation
        self.mean, self.matrix, self.inverse, self.log_det = (
            self.add_weight(shape=shape, initializer=initializer, trainable=False, name=name)
            for name, shape, initializer in [
                ("mean", (size,), "zeros"), ("matrix", (size, size), "identity"),
                ("inverse", (size, size), "identity"), ("log_det", (), "zeros")])

    def adapt(self, embeddings: ArrayLike) -> None:
        """Learn the transformation from the embeddings of the training split, [N, K].

        Raises a `galsim.GalSimError` if they are not finite, are all the same, or have another
        length.
        """
        values, size = np.asarray(embeddings, float), self.mean.shape[0]
        if values.ndim != 2 or values.shape[1] != size:
            raise GalSimError(
                f"The embeddings of the data set have the shape {values.shape}, but the model has "
                f"'latent_size' {size}. Set model.latent_size of the recipe to the length of the "
                "embeddings.")
        if not np.isfinite(values).all():
            raise GalSimError("Some embeddings of the data set are not finite. Leave out the "
                              "stamps that they are from, or use another module.")
        if not np.ptp(values, axis=0).any():
            raise GalSimError("The embeddings of the data set are all the same. Look whether its "
                              "module tells different stamps apart.")
        if self.kind == "none":
            return
        mean = values.mean(axis=0)
        if self.kind == "deviation":
            axes, deviations = np.eye(size), values.std(axis=0)
        else:
            variances, axes = np.linalg.eigh(np.cov(values, rowvar=False, bias=True))
            variances, axes = variances[::-1], axes[:, ::-1]
            # The sign of an eigenvector is arbitrary.
            axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(size)])
            deviations = np.sqrt(variances.clip(min=0))
        deviations = np.maximum(deviations, self.least_deviation * deviations.max())
        self.mean.assign(mean)
        self.matrix.assign(axes / deviations)
        self.inverse.assign((axes * deviations).T)
        self.log_det.assign(-np.log(deviations).sum())

    def call(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Whiten embeddings, [N, K] -> [N, K]."""
        return tf.matmul(embeddings - self.mean, self.matrix)

    def undo(self, whitened: tf.Tensor) -> tf.Tensor:
        """The inverse of `call`, [N, K] -> [N, K]."""
        return tf.matmul(whitened, self.inverse) + self.mean
