"""A step of an optimiser: gradients are clipped, and those that are not finite are left out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.fitting.graphs import as_graph
from galsim_deep_training.fitting.optimiser_step import OptimiserStep


class Parabola:
    """Minimises (w - x)^2 / 2, whose gradient is w - x, from w = 0."""

    def __init__(self, clip=2.0, learning_rate=0.1, **kwargs):
        self.weight = keras.Variable(np.zeros(2, np.float32), name="w")
        self.optimiser_step = OptimiserStep(
            [self.weight], keras.optimizers.SGD(learning_rate), clip, **kwargs)
        self.step = as_graph(self._step)

    def _step(self, x):
        return self.optimiser_step.step(
            lambda: (0.5 * tf.reduce_sum((self.weight.value - x) ** 2), dict(size=tf.size(x))))

    @property
    def typical_norm(self):
        return float(self.optimiser_step.typical_norm)


def x(*values):
    return tf.constant(values, tf.float32)


def test_a_step():
    parabola = Parabola(learning_rate=0.5)
    loss, scalars, norm = parabola.step(x(3.0, 4.0))
    assert (float(loss), int(scalars["size"]), float(norm)) == (12.5, 2, 5.0)
    np.testing.assert_allclose(parabola.weight, [1.5, 2.0])
    assert parabola.typical_norm == pytest.approx(5.0)
    assert set(parabola.optimiser_step.state()) == {"optimizer", "typical_norm", "loss_scale"}


def test_the_scale_of_float16_does_not_change_the_step():
    parabola = Parabola(learning_rate=0.5, float16=True)
    loss, _, norm = parabola.step(x(3.0, 4.0))
    assert float(loss) == 12.5 and float(norm) == pytest.approx(5.0)
    np.testing.assert_allclose(parabola.weight, [1.5, 2.0], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("first", [True, False])
def test_a_gradient_that_is_not_finite_is_passed_over(bad, first):
    parabola = Parabola()
    if not first:
        parabola.step(x(1.0, 1.0))
    weight, norm = parabola.weight.numpy(), parabola.typical_norm
    assert not np.isfinite(parabola.step(x(1.0, bad))[2])
    np.testing.assert_array_equal(parabola.weight, weight)
    assert parabola.typical_norm == norm
    # The fit goes on.
    for _ in range(100):
        parabola.step(x(1.0, 1.0))
    np.testing.assert_allclose(parabola.weight, [1.0, 1.0], atol=0.01)


@pytest.mark.parametrize("first", [True, False])
def test_a_gradient_that_is_zero_does_no_harm(first):
    parabola = Parabola()
    if not first:
        parabola.step(x(1.0, 1.0))
    weight, norm = parabola.weight.numpy(), parabola.typical_norm
    parabola.step(x(*weight))
    np.testing.assert_array_equal(parabola.weight, weight)
    assert parabola.typical_norm == norm


def test_outliers_are_clipped():
    """A single huge gradient counts no more than ``clip`` times the typical one."""
    parabola = Parabola(clip=2.0, learning_rate=1e-9)
    for _ in range(20):
        parabola.step(x(3.0, 4.0))
    assert parabola.typical_norm == pytest.approx(5.0, rel=1e-3)
    gradients, norm = parabola.optimiser_step.clipped([tf.constant([3e4, 4e4])])
    assert float(norm) == pytest.approx(5e4)
    np.testing.assert_allclose(gradients[0], [6.0, 8.0], rtol=1e-3)
    # The typical norm hardly moves: by the factor 2 to the power 0.02.
    assert parabola.typical_norm == pytest.approx(5.0 * 2**0.02, rel=1e-3)
    gradients, _ = parabola.optimiser_step.clipped([tf.constant([0.3, 0.4])])
    np.testing.assert_allclose(gradients[0], [0.3, 0.4], rtol=1e-5)
