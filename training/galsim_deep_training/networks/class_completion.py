"""Columns that are not given, for galaxies whose class is: those that galaxies of it have.

What the natural mix draws is columns first, and then a class with the frequency that it has beside
them.  So by Bayes's theorem the columns of a class are those of all galaxies, weighted with that
frequency; nothing more has to be learned.  They are drawn by sampling and importance resampling
(Rubin 1988): many candidates, of which one is taken with its weight.
"""

__all__ = ["completed_as"]

import tensorflow as tf
from scipy.stats.qmc import Halton

from .mixture import class_of, uniform_of

CANDIDATES = 64
SCALE = 0.7
"""Of the logistic distribution that candidates have: wider than a standard normal one, for classes
that lie in its tails."""
EDGE = 1e-6


def completed_as(classes, columns, natural, own, normal, uniform, complete, log_weights):
    """Columns with a value drawn for each that is NaN, as galaxies of a class have them.

    Parameters:
        classes:        Of the galaxies, one-hot [N, K].
        columns:        A dict, [N] each.
        natural:        What the natural mix has drawn for them: ``complete(columns, normal)``.
        own:            Whether a galaxy keeps that, bool [N]: it does where it is of the class, so
                        that who asks for what would have been drawn anyway gets the same galaxy.
        normal:         Standard normal numbers, [N, C].
        uniform:        Numbers between 0 and 1 that nothing else depends on, [N].
        complete:       A function that completes columns, [N] each, with numbers [N, C]; what it
                        gives is in the order of these numbers.
        log_weights:    A function of such columns that gives the logarithms of the frequencies of
                        the classes, [N, K].

    Returns:
        columns, a dict, [N] each.
    """
    count = tf.shape(normal)[0]
    # The same points for all rows, each time round by other numbers (Cranley & Patterson 1976).
    points = tf.constant(_points(normal.shape[1]), tf.float32)
    place = tf.math.floormod(points + uniform_of(normal)[:, None], 1.0)
    place = tf.clip_by_value(place, EDGE, 1.0 - EDGE)
    density = place * (1.0 - place)  # in units of 1 / SCALE
    moved = SCALE * tf.math.log(place / (1.0 - place))

    def each(values):
        """The value of a row, for each of its candidates."""
        return tf.reshape(tf.tile(values[:, None], [1, CANDIDATES]), [-1])

    candidates = complete({name: each(values) for name, values in columns.items()},
                          tf.reshape(moved, [-1, normal.shape[1]]))
    asked = tf.reshape(tf.tile(classes[:, None], [1, CANDIDATES, 1]), [-1, classes.shape[1]])
    weights = tf.reshape(
        tf.reduce_sum(asked * log_weights(candidates), axis=-1), [count, CANDIDATES])
    # And with the density that these numbers should have, over that which they have.
    missing = tf.stack([~tf.math.is_finite(columns[name]) for name in natural], axis=-1)
    excess = -0.5 * tf.square(moved) - tf.math.log(density)
    weights += tf.reduce_sum(tf.where(missing[:, None], excess, 0.0), axis=-1)
    chosen = tf.one_hot(class_of(uniform, tf.nn.softmax(weights)), CANDIDATES)
    return {name: tf.where(own, natural[name], tf.reduce_sum(
                chosen * tf.reshape(values, [count, CANDIDATES]), axis=-1))
            for name, values in candidates.items()}


def _points(size):
    """Numbers that cover 0 to 1 evenly, [CANDIDATES, size]."""
    return Halton(size, scramble=False).random(CANDIDATES)
