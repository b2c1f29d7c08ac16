"""Transformations without weights: inverses, determinants, and agreement with TFP."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from galsim_deep_training.networks.flows.transforms import (
    AffineTransform,
    CouplingBijector,
    RationalQuadraticSpline,
    SplineTransform,
    affine,
)

UNIVARIATE = [AffineTransform(), SplineTransform(), SplineTransform(bins=3, bound=2.0)]


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def test_affine_is_bounded():
    for log_scale, scale in ((100.0, np.exp(3.0)), (-100.0, np.exp(-3.0)), (0.1, np.exp(0.1))):
        function = affine(tf.constant(1.0), tf.constant(log_scale), bound=3.0)
        assert float(function.forward(tf.constant(2.0))) == pytest.approx(2 * scale + 1, rel=1e-3)


# ---- univariate transformations -----------------------------------------------------------------


@pytest.fixture(params=UNIVARIATE, ids=repr)
def univariate(request):
    return request.param


def test_parameters_of_zero_give_the_identity(univariate):
    x = 3 * normal(20, 4)
    function = univariate(tf.zeros([20, 4, univariate.parameters]))
    np.testing.assert_allclose(function.forward(x), x, atol=1e-5)
    np.testing.assert_allclose(
        function.forward_log_det_jacobian(x, event_ndims=0), np.zeros((20, 4)), atol=1e-5)


@pytest.mark.parametrize("shape", [(7,), (7, 3)])
def test_functions_are_monotonic_and_invertible(univariate, shape):
    raw = tf.repeat(normal(1, *shape, univariate.parameters, seed=1), 301, axis=0)
    x = tf.reshape(tf.linspace(-6.0, 6.0, 301), [-1, *[1] * len(shape)]) * tf.ones(shape)
    y = univariate(raw).forward(x)
    assert np.all(np.diff(y, axis=0) > 0)
    np.testing.assert_allclose(univariate(raw).inverse(tf.identity(y)), x, atol=1e-3)


def test_determinant_is_the_derivative(univariate):
    raw, x = normal(50, univariate.parameters, seed=1), normal(50)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = univariate(raw).forward(x)
    log_slope = np.log(tape.gradient(y, x))
    np.testing.assert_allclose(
        univariate(raw).forward_log_det_jacobian(x, event_ndims=0), log_slope, atol=1e-4)
    np.testing.assert_allclose(
        univariate(raw).inverse_log_det_jacobian(tf.identity(y), event_ndims=0), -log_slope,
        atol=1e-3)


def test_splines_are_the_identity_outside_of_their_interval():
    spline = SplineTransform(bins=8, bound=3.0)(5 * normal(50, 2, 23))
    inside = tf.constant(np.random.default_rng(0).uniform(-3, 3, (50, 2)), tf.float32)
    outside = tf.sign(inside) * (3.001 + tf.abs(inside))
    np.testing.assert_array_equal(spline.forward(outside), outside)
    np.testing.assert_array_equal(
        spline.forward_log_det_jacobian(outside, event_ndims=0), tf.zeros_like(outside))
    mapped = spline.forward(inside).numpy()
    assert np.all(np.abs(mapped) <= 3.0) and np.abs(mapped - inside).max() > 1.0


@pytest.mark.parametrize("method", ["forward", "inverse", "forward_log_det_jacobian",
                                    "inverse_log_det_jacobian"])
def test_splines_equal_those_of_tensorflow_probability(method):
    widths, heights = tf.exp(normal(2, 8, 20, 3, seed=2))
    slopes = tf.exp(0.5 * normal(7, 20, 3, seed=3))
    ours = RationalQuadraticSpline(widths, heights, slopes, 4.0)
    sizes = [8 * np.moveaxis(each / np.sum(each, axis=0), 0, -1) for each in (widths, heights)]
    theirs = tfb.RationalQuadraticSpline(*sizes, np.moveaxis(slopes, 0, -1), range_min=-4.0)
    x = 3 * normal(20, 3)
    assert np.any(np.abs(x) > 4) and np.any(np.abs(x) < 2)
    np.testing.assert_allclose(
        getattr(ours, method)(tf.identity(x)), getattr(theirs, method)(tf.identity(x)), atol=2e-4)


# ---- couplings ----------------------------------------------------------------------------------


def make_coupling(keep_last):
    """f multiplies by the exponential of the sum of the part that is kept."""
    return CouplingBijector(
        2, lambda kept: tfb.Scale(log_scale=tf.reduce_sum(kept, axis=-1, keepdims=True)), keep_last)


@pytest.mark.parametrize("keep_last", [False, True])
def test_coupling_keeps_one_part_and_transforms_the_other(keep_last):
    x = normal(10, 5)
    y = make_coupling(keep_last).forward(x).numpy()
    kept, other = (slice(3, None), slice(0, 3)) if keep_last else (slice(0, 2), slice(2, None))
    np.testing.assert_array_equal(y[:, kept], x[:, kept])
    factor = np.exp(np.sum(x[:, kept], axis=1, keepdims=True))
    np.testing.assert_allclose(y[:, other], factor * x[:, other], rtol=1e-5)


@pytest.mark.parametrize("keep_last", [False, True])
def test_coupling_has_an_inverse_and_a_determinant(keep_last):
    x, coupling = normal(10, 5), make_coupling(keep_last)
    y = coupling.forward(x)
    np.testing.assert_allclose(coupling.inverse(tf.identity(y)), x, rtol=1e-4, atol=1e-6)
    log_scale = 3 * np.sum(x[:, 3:] if keep_last else x[:, :2], axis=1)
    for value in (coupling.forward_log_det_jacobian(x, event_ndims=1),
                  -coupling.inverse_log_det_jacobian(tf.identity(y), event_ndims=1)):
        np.testing.assert_allclose(value, log_scale, rtol=1e-4, atol=1e-5)


def test_coupling_evaluates_its_network_once_for_map_and_determinant():
    calls = []

    def univariate(kept):
        calls.append(kept)
        return tfb.Scale(log_scale=tf.reduce_sum(kept, axis=-1, keepdims=True))

    coupling, x = CouplingBijector(2, univariate), normal(10, 5)
    coupling.inverse(x)
    coupling.inverse_log_det_jacobian(x, event_ndims=1)
    assert len(calls) == 1
