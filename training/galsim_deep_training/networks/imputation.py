"""Imputation of missing columns, from their distribution in the training sample."""

__all__ = ["Imputation", "imputed"]

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from .blocks import bounded
from .conditions import Conditions
from .flows.conditioner import Conditioner
from .flows.transforms import SplineTransform


class Imputation(keras.Model):
    """The distribution of any subset of columns given the others.

    An autoregressive model: missing columns are drawn one after the other in the order of the
    recipe, each given the observed columns and those drawn before. The conditional distribution of
    a column is that of an affine function of a rational-quadratic spline of a standard normal
    number. A network computes their parameters from the known values and the mask of known columns.

    Parameters:
        columns:        Number of columns, C.
        hidden:         Units of each of the two hidden layers of the network of a column.
        bins:           Bins of the splines.
        seed:           Determines the initial weights.

    >>> imputation = Imputation(columns=2)
    >>> values = tf.constant([[0.5, np.nan]])
    >>> observed = tf.constant([[True, False]])
    >>> imputation(values, observed, normal=tf.ones([1, 2])).numpy().round(3)
    array([[0.5, 1. ]], dtype=float32)
    """

    _bound = 4.0

    def __init__(self, columns: int, hidden: int = 64, bins: int = 8, seed: int = 0) -> None:
        super().__init__(name="imputation", dtype="float32")
        self.columns = columns
        self.spline = SplineTransform(bins, self._bound)
        # Seeds of its own: the initial weights should not depend on other networks.
        self.conditioners = [
            Conditioner((hidden, hidden), self.spline.parameters + 2, seed=seed + 10 * number)
            for number in range(columns)]

    def call(self, values: tf.Tensor, observed: tf.Tensor, normal: tf.Tensor) -> tf.Tensor:
        """Impute missing values.

        Parameters:
            values:     Standardised columns, [N, C]; missing values may be anything.
            observed:   Whether each value is known, bool [N, C].
            normal:     Standard normal numbers, [N, C]; zeros give conditional medians.

        Returns:
            [N, C], equal to ``values`` if these are known.
        """
        filled, is_known = list(tf.unstack(values, axis=-1)), list(tf.unstack(observed, axis=-1))
        for column in range(self.columns):
            spline, shift, scale = self._distribution(column, filled, is_known)
            drawn = shift + scale * spline.forward(normal[:, column])
            filled[column] = tf.where(is_known[column], filled[column], drawn)
            is_known[column] = tf.ones_like(is_known[column])
        return tf.stack(filled, axis=-1)

    def log_prob(self, values: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
        """Log-density of some of the values, given the others.

        Parameters:
            values:     Standardised columns, all of them known, [N, C].
            observed:   Whether each value is a condition, bool [N, C]; the others are the arguments
                        of the density.

        Returns:
            [N] [nats].
        """
        columns, is_known = tf.unstack(values, axis=-1), list(tf.unstack(observed, axis=-1))
        total = tf.zeros_like(columns[0])
        for column in range(self.columns):
            spline, shift, scale = self._distribution(column, columns, is_known)
            standardised = (columns[column] - shift) / scale
            normal = spline.inverse(standardised)
            log_density = (
                -0.5 * (tf.square(normal) + np.log(2 * np.pi)) - tf.math.log(scale)
                + spline.inverse_log_det_jacobian(standardised, event_ndims=0))
            total += tf.where(is_known[column], tf.zeros_like(log_density), log_density)
            is_known[column] = tf.ones_like(is_known[column])
        return total

    def _distribution(self, column: int, values: list[tf.Tensor],
                      is_known: list[tf.Tensor]) -> tuple[tfb.Bijector, tf.Tensor, tf.Tensor]:
        """(spline, shift, scale) of the conditional distribution of a column."""
        mask = tf.cast(tf.stack(is_known, axis=-1), tf.float32)
        inputs = tf.where(mask > 0, tf.stack(values, axis=-1), tf.zeros_like(mask))
        raw_spline, shift, log_scale = tf.split(
            self.conditioners[column](inputs, mask), [self.spline.parameters, 1, 1], axis=-1)
        return (self.spline(raw_spline), bounded(shift)[:, 0],
                tf.exp(bounded(log_scale)[:, 0]))


def imputed(imputation: Imputation, conditions: Conditions, columns: Mapping[str, tf.Tensor],
            normal: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
    """Replace each NaN in catalogue columns by a value drawn given the other columns.

    Parameters:
        imputation:     An `Imputation`.
        conditions:     The `Conditions` that standardises the columns.
        columns:        Catalogue columns, [N] each; NaN is a missing value.
        normal:         Standard normal numbers, [N, C].  [default: zeros, conditional medians]

    Returns:
        columns, [N] each; drawn values are limited to the range of the training set.  Other entries
        of ``columns``, such as ``pixel_scale``, are kept.
    """
    values = conditions(columns)
    observed = tf.stack(
        [tf.math.is_finite(columns[column.name]) for column in conditions.columns], axis=-1)
    drawn = conditions.columns_of(imputation(
        values, observed, tf.zeros_like(values) if normal is None else normal))
    return dict(columns) | {column.name: tf.where(
                observed[:, number], columns[column.name],
                tf.clip_by_value(drawn[column.name], conditions.lowest[number],
                                 conditions.highest[number]))
            for number, column in enumerate(conditions.columns)}
