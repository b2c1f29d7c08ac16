"""How far apart two samples are, with a gradient."""

__all__ = ["energy_distance"]

import tensorflow as tf


def energy_distance(x, y):
    """The energy distance of two samples (Szekely & Rizzo 2013, J. Stat. Plan. Inference 143).

    ``2 E|X - Y| - E|X - X'| - E|Y - Y'|``: zero, on average, where both are drawn from one
    distribution, and positive otherwise.  Members of equal number may depend on each other, as
    when both belong to the same columns: only pairs of different numbers count.

    Parameters:
        x, y:   [N, D] each, in units in which the dimensions may be compared.

    Returns:
        a number.
    """
    count = tf.cast(tf.shape(x)[0], tf.float32)
    pairs = [2 * tf.reduce_sum(_distances(x, y)), -tf.reduce_sum(_distances(x, x)),
             -tf.reduce_sum(_distances(y, y))]
    return tf.add_n(pairs) / (count * (count - 1))


def _distances(x, y):
    """Between all members, [N, N]; zero between those of equal number."""
    square = tf.reduce_sum(tf.square(x[:, None] - y[None]), axis=-1)
    # The small number keeps the gradient finite.
    return tf.sqrt(square + 1e-6) * (1.0 - tf.eye(tf.shape(x)[0]))
