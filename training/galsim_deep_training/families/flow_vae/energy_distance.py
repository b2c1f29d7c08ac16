"""Differentiable estimate of the energy distance between two samples."""

__all__ = ["energy_distance"]

import tensorflow as tf


def energy_distance(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Estimate the energy distance between the distributions of two samples.

    ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` is zero if both distributions are equal and positive
    otherwise. The estimate is unbiased. Row i of ``x`` and row i of ``y`` may be correlated, for
    example because both were made from the same catalogue row: only pairs of rows with different
    numbers are used.

    Reference: Szekely & Rizzo 2013, J. Stat. Plan. Inference 143, 1249,
    doi:10.1016/j.jspi.2013.03.018.

    Parameters:
        x, y:   Samples of equal size, [N, D] each, in units in which distances are meaningful.

    Returns:
        a scalar.

    >>> x = tf.constant([[0.0], [1.0]])
    >>> round(float(energy_distance(x, x + 3.0)), 2)  # 2 * (4 + 2) / 2 - 1 - 1
    4.0
    """
    count = tf.cast(tf.shape(x)[0], tf.float32)
    sums = [2 * tf.reduce_sum(_distances(x, y)), -tf.reduce_sum(_distances(x, x)),
            -tf.reduce_sum(_distances(y, y))]
    return tf.add_n(sums) / (count * (count - 1))


def _distances(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Distances between all pairs of rows, [N, N]; zero on the diagonal."""
    square = tf.reduce_sum(tf.square(x[:, None] - y[None]), axis=-1)
    # The small number keeps the gradient finite.
    return tf.sqrt(square + 1e-6) * (1.0 - tf.eye(tf.shape(x)[0]))
