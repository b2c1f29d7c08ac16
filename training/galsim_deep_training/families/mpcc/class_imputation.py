"""Imputation of columns for galaxies of a given class.

If no class is requested, columns are drawn first, and then a class with its frequency given the
columns. By Bayes' theorem, the columns of the galaxies of a class are therefore those of all
galaxies, weighted with this frequency; no further network is needed. They are drawn by
sampling-importance resampling (Rubin 1988, in Bayesian Statistics 3, p. 395): from many candidates,
one is chosen with a probability proportional to its weight.
"""

__all__ = ["CANDIDATES", "imputed_for_class"]

from collections.abc import Callable, Mapping

import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats.qmc import Halton

from .networks.mixture_prior import class_of, uniform_of

CANDIDATES = 64
"""Number of candidates for each galaxy."""
SCALE = 0.7
"""Scale of the logistic distribution of the candidates. Its tails are wider than those of a normal
distribution, for classes that lie there."""
EDGE = 1e-6
"""Smallest distance of the uniform numbers from 0 and 1."""


def imputed_for_class(
        classes: tf.Tensor, columns: Mapping[str, tf.Tensor],
        unconditional: Mapping[str, tf.Tensor], keeps_unconditional: tf.Tensor,
        normal: tf.Tensor, uniform: tf.Tensor,
        impute: Callable[[Mapping[str, tf.Tensor], tf.Tensor], Mapping[str, tf.Tensor]],
        log_weights: Callable[[Mapping[str, tf.Tensor]], tf.Tensor]) -> dict[str, tf.Tensor]:
    """Draw a value for each NaN in the columns, from the distribution of a class.

    Parameters:
        classes:        Classes of the galaxies, one-hot, [N, K].
        columns:        Columns, [N] each; NaN is a missing value.
        unconditional:  The result of ``impute(columns, normal)``, drawn from all galaxies.
        keeps_unconditional:    Whether the class drawn for ``unconditional`` is the given one,
                        bool [N]. These galaxies keep ``unconditional``, so that a request for the
                        class that would have been drawn anyway gives the same galaxy.
        normal:         Standard normal numbers, [N, C].
        uniform:        Uniform numbers between 0 and 1, independent of all others, [N].
        impute:         A function that imputes columns [N] with standard normal numbers [N, C]; the
                        order of the columns that it returns is that of these numbers.
        log_weights:    A function that returns the logarithms of the frequencies of the classes
                        given columns, [N, K].

    Returns:
        columns without NaN, [N] each.
    """
    count = tf.shape(normal)[0]
    # All galaxies use the same points, shifted modulo 1 by random numbers (Cranley & Patterson
    # 1976, SIAM J. Numer. Anal. 13, 904, doi:10.1137/0713071).
    points = tf.constant(_points(normal.shape[1]), tf.float32)
    points = tf.math.floormod(points + uniform_of(normal)[:, None], 1.0)
    points = tf.clip_by_value(points, EDGE, 1.0 - EDGE)
    density = points * (1.0 - points)  # in units of 1 / SCALE
    logistic = SCALE * tf.math.log(points / (1.0 - points))

    def repeated(values: tf.Tensor) -> tf.Tensor:
        """Each value [N] once for each candidate, [N * CANDIDATES]."""
        return tf.reshape(tf.tile(values[:, None], [1, CANDIDATES]), [-1])

    candidates = impute({name: repeated(values) for name, values in columns.items()},
                        tf.reshape(logistic, [-1, normal.shape[1]]))
    repeated_classes = tf.reshape(
        tf.tile(classes[:, None], [1, CANDIDATES, 1]), [-1, classes.shape[1]])
    log_weight = tf.reshape(
        tf.reduce_sum(repeated_classes * log_weights(candidates), axis=-1), [count, CANDIDATES])
    # The candidates were drawn with logistic numbers instead of normal ones.
    missing = tf.stack([~tf.math.is_finite(columns[name]) for name in unconditional], axis=-1)
    log_ratio = -0.5 * tf.square(logistic) - tf.math.log(density)
    log_weight += tf.reduce_sum(tf.where(missing[:, None], log_ratio, 0.0), axis=-1)
    chosen = tf.one_hot(class_of(uniform, tf.nn.softmax(log_weight)), CANDIDATES)
    return {name: tf.where(keeps_unconditional, unconditional[name], tf.reduce_sum(
                chosen * tf.reshape(values, [count, CANDIDATES]), axis=-1))
            for name, values in candidates.items()}


def _points(size: int) -> NDArray:
    """Low-discrepancy points of the Halton sequence, [CANDIDATES, size]."""
    return Halton(size, scramble=False).random(CANDIDATES)
