"""Columns that are not given, drawn from what the training sample has beside those that are."""

__all__ = ["Completion", "completed"]

import keras
import numpy as np
import tensorflow as tf

from .flows.base import Conditioner, bounded
from .flows.spline import spline_of


class Completion(keras.Model):
    """The distribution of any of the columns given any of the others.

    One after the other, in the order of the recipe, each missing column is drawn given all that are
    known by then.  Its distribution is a monotonic spline of a standard normal number, shifted and
    scaled, with parameters that depend on the values known and on which these are.

    Parameters:
        columns:        How many columns there are, C.
        hidden:         Units of the two hidden layers for each column.
        bins:           Pieces of a spline.
        seed:           Draws the first weights.
    """

    _bound = 4.0

    def __init__(self, columns, hidden=64, bins=8, seed=0):
        super().__init__(name="completion", dtype="float32")
        self.columns, self.bins = columns, bins
        # A seed of its own: other networks must not decide the weights that this one starts from.
        self.conditioners = [
            Conditioner((hidden, hidden), 3 * bins + 1, seed=seed + 10 * number)
            for number in range(columns)]

    def call(self, values, given, normal):
        """Fill in what is not given.

        Parameters:
            values:     Standardised columns, [N, C]; what stands for a missing one has no effect.
            given:      Which are known, bool [N, C].
            normal:     Standard normal numbers, [N, C]; zeros give the medians.

        Returns:
            [N, C]: the values where they are given.
        """
        values, known = list(tf.unstack(values, axis=-1)), list(tf.unstack(given, axis=-1))
        for column in range(self.columns):
            spline, shift, scale = self._distribution(column, values, known)
            drawn = shift + scale * spline.forward(normal[:, column])
            values[column] = tf.where(known[column], values[column], drawn)
            known[column] = tf.ones_like(known[column])
        return tf.stack(values, axis=-1)

    def log_prob(self, values, given):
        """Log density of the values that are not given, given those that are: [N].

        Parameters:
            values:     All the values, standardised, [N, C].
            given:      Which of them to take as known, bool [N, C].
        """
        values, known = tf.unstack(values, axis=-1), list(tf.unstack(given, axis=-1))
        total = tf.zeros_like(values[0])
        for column in range(self.columns):
            spline, shift, scale = self._distribution(column, values, known)
            inner = (values[column] - shift) / scale
            normal = spline.inverse(inner)
            density = (-0.5 * (tf.square(normal) + np.log(2 * np.pi)) - tf.math.log(scale)
                       + spline.inverse_log_det_jacobian(inner, event_ndims=0))
            total += tf.where(known[column], tf.zeros_like(density), density)
            known[column] = tf.ones_like(known[column])
        return total

    def _distribution(self, column, values, known):
        mask = tf.cast(tf.stack(known, axis=-1), tf.float32)
        seen = tf.where(mask > 0, tf.stack(values, axis=-1), tf.zeros_like(mask))
        raw = self.conditioners[column](seen, mask)
        shape, shift, scale = tf.split(tf.transpose(raw), [3 * self.bins - 1, 1, 1])
        return (spline_of(shape, self.bins, self._bound), bounded(shift)[0],
                tf.exp(bounded(scale)[0]))


def completed(completion, context, columns, normal=None):
    """Columns with a value drawn for each that is NaN.

    Parameters:
        completion:     A `Completion`.
        context:        The `families.base.Context` that standardises them.
        columns:        A dict, [N] each.
        normal:         Standard normal numbers, [N, C]; without them it is the median given the
                        other columns.
    """
    values = context(columns)
    given = tf.stack([tf.math.is_finite(columns[column.name]) for column in context.columns],
                     axis=-1)
    drawn = context.columns_of(completion(
        values, given, tf.zeros_like(values) if normal is None else normal))
    return {column.name: tf.where(
                given[:, place], columns[column.name],
                tf.clip_by_value(drawn[column.name], *column.valid_range))
            for place, column in enumerate(context.columns)}
