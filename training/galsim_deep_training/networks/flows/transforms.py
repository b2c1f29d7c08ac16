"""Invertible transformations (bijectors of TensorFlow Probability) without weights.

A `UnivariateTransform` is a family of monotonic functions of one variable, such as affine functions
or splines. Flows apply a member of the family to each dimension, whose parameters are computed by a
network; see `coupling` and `autoregressive`.
"""

__all__ = ["AffineTransform", "CouplingBijector", "RationalQuadraticSpline", "SplineSettings",
           "SplineTransform", "UnivariateTransform", "affine"]

import abc
import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from ...settings import Multiple, Settings, Within
from ..blocks import bounded


def affine(shift: tf.Tensor, log_scale: tf.Tensor, bound: float = 2.0) -> tfb.Bijector:
    """The transformation ``x exp(bounded(log_scale, bound)) + shift``.

    The bound of the logarithm of the scale keeps both directions of a flow stable, as the clipping
    in Lanusse et al. 2021 (arXiv:2008.03833, section 4.2.2) does.

    >>> float(affine(tf.constant(1.0), tf.constant(0.0)).forward(tf.constant(3.0)))
    4.0
    """
    return tfb.Shift(shift)(tfb.Scale(log_scale=bounded(log_scale, bound)))


class UnivariateTransform(abc.ABC):
    """A family of monotonic functions of one variable, with real-valued parameters.

    Parameters of zero give the identity.

    >>> [family.parameters for family in (AffineTransform(), SplineTransform(bins=8))]
    [2, 23]
    """

    @property
    @abc.abstractmethod
    def parameters(self) -> int:
        """Number of parameters of a function, P."""

    @property
    @abc.abstractmethod
    def is_local(self) -> bool:
        """Whether the functions are the identity outside of an interval.

        Flows then apply a conditional affine transformation in addition, so that their range does
        not depend on the interval.
        """

    @abc.abstractmethod
    def __call__(self, raw: tf.Tensor) -> tfb.Bijector:
        """The functions with parameters ``raw``, [..., P], one for each number [...]."""


@dataclasses.dataclass(frozen=True)
class AffineTransform(UnivariateTransform):
    """Affine functions, with a shift and the logarithm of a scale as parameters.

    >>> shift_by_one = AffineTransform()(tf.constant([[1.0, 0.0]]))
    >>> shift_by_one.forward(tf.constant([2.0])).numpy()
    array([3.], dtype=float32)
    """

    parameters = 2
    is_local = False

    def __call__(self, raw: tf.Tensor) -> tfb.Bijector:
        shift, log_scale = tf.unstack(raw, axis=-1)
        return affine(shift, log_scale)


@dataclasses.dataclass(frozen=True)
class SplineTransform(UnivariateTransform):
    """Monotonic rational-quadratic splines, see `RationalQuadraticSpline`.

    The parameters are the logarithms of the widths and heights of the bins, and the slopes at the
    inner knots before a softplus. They are bounded: for nearly flat splines, float32 cannot
    represent the inverse.

    >>> spline = SplineTransform(bins=2, bound=3.0)
    >>> identity = spline(tf.zeros([1, spline.parameters]))
    >>> identity.forward(tf.constant([1.5])).numpy().round(3)
    array([1.5], dtype=float32)
    """

    bins: int = 8
    """Number of bins, K."""
    bound: float = 5.0
    """Half-width of the interval outside of which the splines are the identity."""

    is_local = True

    @property
    def parameters(self) -> int:
        return 3 * self.bins - 1

    def __call__(self, raw: tf.Tensor) -> tfb.Bijector:
        axes = list(range(raw.shape.rank))
        raw = tf.transpose(raw, [axes[-1], *axes[:-1]])
        widths, heights, slopes = tf.split(bounded(raw), [self.bins, self.bins, self.bins - 1])
        return RationalQuadraticSpline(
            tf.exp(widths), tf.exp(heights), tf.nn.softplus(slopes + np.log(np.e - 1)), self.bound)


class SplineSettings(Settings):
    """The part of the settings of a flow that determines its splines.

    >>> SplineSettings(bins=4).transform()
    SplineTransform(bins=4, bound=5.0)
    """

    bins: Annotated[int, Within(2, 1000)] = 8
    """Number of bins of a spline."""
    bound: Multiple = 5.0
    """Half-width of the interval outside of which splines are the identity, in units of the
    standard normal numbers."""

    def transform(self) -> SplineTransform:
        """The splines of these settings."""
        return SplineTransform(self.bins, self.bound)


class RationalQuadraticSpline(tfb.Bijector):
    """Monotonic rational-quadratic spline on [-bound, bound]; the identity outside.

    In a bin of width w and height h between the knots (x0, y0) and (x1, y1), with slopes d0 and d1
    at the knots, s = h / w and t = (x - x0) / w::

        y = y0 + h (s t^2 + d0 t (1 - t)) / (s + (d0 + d1 - 2 s) t (1 - t))

    Durkan et al. 2019 (arXiv:1906.04032), section 3.1, after Gregory & Delbourgo 1982.

    This is `tfb.RationalQuadraticSpline`, but bins are the first axis and the bin of a value is
    selected by a sum over all bins. For the few bins of a flow this is many times faster on a CPU
    than gathering, in particular its gradient.

    Parameters:
        widths:         Widths of the bins, in any unit, [K, ...].
        heights:        Heights of the bins, in any unit, [K, ...].
        slopes:         Slopes at the inner knots, [K - 1, ...]; those at the ends are one.
        bound:          Half-width of the interval.

    >>> widths = heights = tf.ones([4, 1])
    >>> spline = RationalQuadraticSpline(widths, heights, tf.fill([3, 1], 0.5), bound=2.0)
    >>> spline.forward(tf.constant([-5.0, -1.0, 1.0, 5.0])).numpy().round(3)
    array([-5., -1.,  1.,  5.], dtype=float32)
    """

    def __init__(self, widths: tf.Tensor, heights: tf.Tensor, slopes: tf.Tensor, bound: float,
                 name: str = "spline") -> None:
        parameters = dict(locals())
        self.bound = bound
        self._solution: tuple[Any, ...] | None = None
        self.x, self.y = self._knots(widths), self._knots(heights)
        end_slope = tf.ones_like(slopes[:1])
        self.slopes = tf.concat([end_slope, slopes, end_slope], axis=0)
        super().__init__(forward_min_event_ndims=0, dtype=tf.float32, parameters=parameters,
                         name=name)

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict:
        return {}

    @classmethod
    def _is_increasing(cls) -> bool:
        return True

    def _knots(self, sizes: tf.Tensor) -> tf.Tensor:
        """Positions of the knots from -bound to bound, for sizes [K, ...]: [K + 1, ...]."""
        # The product with a triangular matrix is a cumulative sum, and faster.
        triangle = np.tri(sizes.shape[0] - 1, sizes.shape[0], dtype=np.float32)
        inner = tf.tensordot(triangle, sizes, 1) / tf.reduce_sum(sizes, axis=0)
        # The ends are exact, so that both directions agree about which values are inside.
        end = tf.fill(tf.shape(inner[:1]), self.bound)
        return tf.concat([-end, self.bound * (2.0 * inner - 1.0), end], axis=0)

    def _bin(self, value: tf.Tensor, knots: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """(inside, value or 0 outside, x0, y0, width, height, d0, d1) of the bins of values."""
        inside = tf.abs(value) < self.bound
        value = tf.where(inside, value, 0.0)
        selected = tf.cast((value >= knots[:-1]) & (value < knots[1:]), tf.float32)

        def select(numbers: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(selected * numbers, axis=0)

        x0, y0 = select(self.x[:-1]), select(self.y[:-1])
        return (inside, value, x0, y0, select(self.x[1:]) - x0, select(self.y[1:]) - y0,
                select(self.slopes[:-1]), select(self.slopes[1:]))

    def _solve(self, y: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """(inside, t, x0, width, s, d0, d1) for values y of the spline."""
        # The inverse and its determinant need the same solution.
        if self._solution is None or self._solution[0] is not y:
            inside, value, x0, y0, width, height, d0, d1 = self._bin(y, self.y)
            s, above = height / width, value - y0
            curvature = above * (d0 + d1 - 2 * s)
            a, b, c = height * (s - d0) + curvature, height * d0 - curvature, -s * above
            # Of the two expressions for the root, this one has no cancellation.
            t = -2 * c / (b + tf.sqrt(tf.maximum(b**2 - 4 * a * c, 1e-12)))
            self._solution = y, inside, t, x0, width, s, d0, d1
        return self._solution[1:]

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        inside, value, x0, y0, width, height, d0, d1 = self._bin(x, self.x)
        t, s = (value - x0) / width, height / width
        y = y0 + height * (s * t**2 + d0 * t * (1 - t)) / (
            s + (d0 + d1 - 2 * s) * t * (1 - t))
        return tf.where(inside, y, x)

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        inside, t, x0, width, *_ = self._solve(y)
        return tf.where(inside, x0 + width * t, y)

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        inside, value, x0, _, width, height, d0, d1 = self._bin(x, self.x)
        return tf.where(inside, _log_slope((value - x0) / width, height / width, d0, d1), 0.0)

    def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
        inside, t, _, _, s, d0, d1 = self._solve(y)
        return tf.where(inside, -_log_slope(t, s, d0, d1), 0.0)


def _log_slope(t: tf.Tensor, s: tf.Tensor, d0: tf.Tensor, d1: tf.Tensor) -> tf.Tensor:
    """Logarithm of the derivative dy/dx of a rational-quadratic spline."""
    numerator = d1 * t**2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2
    return tf.math.log(s**2 * numerator / (s + (d0 + d1 - 2 * s) * t * (1 - t)) ** 2)


class CouplingBijector(tfb.Bijector):
    """Coupling layer: [x0, x1] -> [x0, f(x1; x0)], or [f(x0; x1), x1].

    Dinh et al. 2017 (arXiv:1605.08803). The function f acts on each number independently. As
    `tfb.RealNVP`, but the network is evaluated once for the map and its determinant, which halves
    the cost of a density.

    Parameters:
        kept:           Length of the part that is kept and determines f.
        univariate:     The bijector f as a function of this part, [..., kept].
        keep_last:      Whether this part is the end of the vector, not its beginning.

    >>> coupling = CouplingBijector(1, lambda kept: tfb.Scale(10.0 * kept))
    >>> coupling.forward(tf.constant([[2.0, 3.0]])).numpy()
    array([[ 2., 60.]], dtype=float32)
    """

    def __init__(self, kept: int, univariate: Callable[[tf.Tensor], tfb.Bijector],
                 keep_last: bool = False, name: str = "coupling") -> None:
        parameters = dict(locals())
        self.kept, self.univariate, self.keep_last = kept, univariate, keep_last
        self._evaluated: tuple[Any, ...] | None = None
        super().__init__(forward_min_event_ndims=1, dtype=tf.float32, parameters=parameters,
                         name=name)

    @classmethod
    def _parameter_properties(cls, dtype: Any) -> dict:
        return {}

    def _split(self, whole: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tfb.Bijector]:
        """(the part that is kept, the other part, the bijector f for the latter)."""
        if self._evaluated is None or self._evaluated[0] is not whole:
            edge = whole.shape[-1] - self.kept if self.keep_last else self.kept
            parts = whole[..., :edge], whole[..., edge:]
            kept, other = parts[::-1] if self.keep_last else parts
            self._evaluated = whole, kept, other, self.univariate(kept)
        return self._evaluated[1:]

    def _join(self, kept: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        return tf.concat([other, kept] if self.keep_last else [kept, other], axis=-1)

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        kept, other, univariate = self._split(x)
        return self._join(kept, univariate.forward(other))

    def _inverse(self, y: tf.Tensor) -> tf.Tensor:
        kept, other, univariate = self._split(y)
        return self._join(kept, univariate.inverse(other))

    def _forward_log_det_jacobian(self, x: tf.Tensor) -> tf.Tensor:
        _, other, univariate = self._split(x)
        return univariate.forward_log_det_jacobian(other, event_ndims=1)

    def _inverse_log_det_jacobian(self, y: tf.Tensor) -> tf.Tensor:
        _, other, univariate = self._split(y)
        return univariate.inverse_log_det_jacobian(other, event_ndims=1)
