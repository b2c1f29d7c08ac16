"""Catalogue columns as inputs of networks."""

__all__ = ["Columns", "Conditions"]

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimError

from ..recipe import Column

Columns = Mapping[str, Any]
"""The columns of N galaxies by name, arrays or tensors [N]."""


class Conditions(keras.layers.Layer):
    """Standardises catalogue columns: (f(value) - mean) / deviation, f the identity or a logarithm.

    A dict of C columns, each [N], becomes [N, C] in the order of the recipe.

    Parameters:
        columns:    The `recipe.Column` objects.

    Attributes:
        mean, deviation:    Of f(value) in the training set, [C].
        lowest, highest:    Smallest and largest value in the training set, in the units of the
                            column, [C].

    >>> size = Column(name="size", unit="arcsec", meaning="half-light radius",
    ...               quantity="half_light_radius", valid_range=(0, 9))
    >>> conditions = Conditions((size,))
    >>> conditions.adapt(dict(size=np.array([1.0, 3.0])))  # mean 2, standard deviation 1
    >>> conditions(dict(size=tf.constant([2.0, 5.0]))).numpy()
    array([[0.],
           [3.]], dtype=float32)
    """

    def __init__(self, columns: tuple[Column, ...]) -> None:
        super().__init__(name="conditions", dtype="float32")
        self.columns = columns
        self.mean, self.deviation = (
            self.add_weight(shape=(len(columns),), initializer=start, trainable=False, name=name)
            for name, start in [("mean", "zeros"), ("deviation", "ones")])
        # Until a training set is known, every number is within the limits.
        self.lowest, self.highest = (
            self.add_weight(shape=(len(columns),), trainable=False, name=name,
                            initializer=keras.initializers.Constant(limit))
            for name, limit in [("lowest", tf.float32.min), ("highest", tf.float32.max)])

    def _scaled(self, columns: Columns) -> list[tf.Tensor]:
        return [columns[c.name] if c.scale == "linear" else tf.math.log(columns[c.name] + c.offset)
                for c in self.columns]

    def adapt(self, columns: Columns) -> None:
        """Learn means, deviations and limits from the columns of the training split, [N] each.

        Raises a `galsim.GalSimError` if the values of a column are all the same or not finite.
        """
        if not self.columns:
            return
        values = np.stack([np.asarray(v, float) for v in self._scaled(columns)])
        for column, row in zip(self.columns, values, strict=True):
            finite = np.isfinite(row).all()
            if not finite or row.std() == 0:
                reason = "are all the same" if finite else "or their logarithms are not all finite"
                raise GalSimError(
                    f"The column '{column.name}' of the data set cannot be standardised: its "
                    f"values {reason}. Remove the column from the recipe, or these rows from the "
                    "data set.")
        self.mean.assign(values.mean(axis=1))
        self.deviation.assign(values.std(axis=1))
        self.lowest.assign([np.min(columns[column.name]) for column in self.columns])
        self.highest.assign([np.max(columns[column.name]) for column in self.columns])

    def call(self, columns: Columns) -> tf.Tensor:
        """Convert a dict of columns [N] to standardised columns [N, C]."""
        return (tf.stack(self._scaled(columns), axis=-1) - self.mean) / self.deviation

    def columns_of(self, values: tf.Tensor) -> dict[str, tf.Tensor]:
        """Inverse of `call`: convert standardised columns [N, C] to a dict of columns [N] in their
        units."""
        values = tf.unstack(values * self.deviation + self.mean, axis=-1)
        return {c.name: value if c.scale == "linear" else tf.exp(value) - c.offset
                for c, value in zip(self.columns, values, strict=True)}
