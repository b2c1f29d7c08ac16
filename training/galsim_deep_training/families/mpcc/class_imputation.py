"""Classes of galaxies with missing columns: imputation given the class, and its probability.

If no class is requested, columns are drawn first, and then a class with its frequency given the
columns. By Bayes' theorem, the columns of the galaxies of a class are therefore those of all
galaxies, weighted with this frequency; no further network is needed. They are drawn by
sampling-importance resampling (Rubin 1988, in Bayesian Statistics 3, p. 395): from many candidates,
one is chosen with a probability proportional to its weight.
"""

__all__ = ["CANDIDATES", "imputed_for_class", "marginal_log_weights"]

import math
from collections.abc import Callable, Mapping

import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats.qmc import Halton

from .networks.mixture_prior import class_of, uniform_of

CANDIDATES = 64
"""Number of candidates for each galaxy."""
POINTS = 512
"""Number of imputations over which the probability of a class is averaged."""
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
    points = tf.constant(_points(normal.shape[1], CANDIDATES), tf.float32)
    points = tf.math.floormod(points + uniform_of(normal)[:, None], 1.0)
    points = tf.clip_by_value(points, EDGE, 1.0 - EDGE)
    density = points * (1.0 - points)  # in units of 1 / SCALE
    logistic = SCALE * tf.math.log(points / (1.0 - points))

    candidates = impute({name: _repeated(values, CANDIDATES) for name, values in columns.items()},
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


def marginal_log_weights(
        columns: Mapping[str, tf.Tensor], size: int,
        impute: Callable[[Mapping[str, tf.Tensor], tf.Tensor], Mapping[str, tf.Tensor]],
        log_weights: Callable[[Mapping[str, tf.Tensor]], tf.Tensor]) -> tf.Tensor:
    """log p(class | the columns that are not missing).

    The frequencies of the classes are averaged over `POINTS` imputations of the missing columns.

    Parameters:
        columns:        Columns, [N] each; NaN is a missing value.
        size:           The number C of columns that ``impute`` takes normal numbers for.
        impute:         As for `imputed_for_class`.
        log_weights:    As for `imputed_for_class`.

    Returns:
        float32 [N, K].
    """
    # The first point of the sequence is zero.
    points = tf.constant(norm.ppf(_points(size, POINTS + 1)[1:]), tf.float32)
    count = tf.shape(next(iter(columns.values())))[0]
    imputations = impute(
        {name: _repeated(values, POINTS) for name, values in columns.items()},
        tf.tile(points, [count, 1]))
    log_weight = log_weights(imputations)
    log_weight = tf.reshape(log_weight, [count, POINTS, log_weight.shape[-1]])
    return tf.reduce_logsumexp(log_weight, axis=1) - math.log(POINTS)


def _repeated(values: tf.Tensor, number: int) -> tf.Tensor:
    """Each value [N] ``number`` times, [N * number]."""
    return tf.reshape(tf.tile(values[:, None], [1, number]), [-1])


def _points(size: int, number: int) -> NDArray:
    """Low-discrepancy points of the Halton sequence, [number, size]."""
    return Halton(size, scramble=False).random(number)
