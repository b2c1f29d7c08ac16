"""Phases: a gradient phase finds the minimum of its loss, and its noise can be had again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.fitting.graphs import as_graph
from galsim_deep_training.fitting.phase import GradientPhase, uses_float16
from galsim_deep_training.recipe import PhaseSettings


class Parabola(GradientPhase):
    """Minimises the mean of (w - x)^2 / 2, whose gradient is w - x."""

    name = "parabola"

    def __init__(self, **kwargs):
        layer = keras.layers.Layer()
        self.weight = layer.add_weight(shape=(2,), initializer="zeros", name="w")
        settings = PhaseSettings(**{"steps": 100, "learning_rate": 0.1, "warm_up": 0, **kwargs})
        super().__init__(settings, 0,
                         dict(layer=layer), [self.weight])

    def batches(self, dataset, start):
        raise NotImplementedError

    def loss(self, batch, number):
        return 0.5 * tf.reduce_sum((self.weight.value - batch["x"]) ** 2), {}


def x(*values):
    return dict(x=tf.constant(values, tf.float32))


def test_a_gradient_phase_finds_the_minimum():
    phase = Parabola()
    step = as_graph(phase.step)
    for number in range(100):
        scalars = step(x(0.5, -1.0), tf.constant(number))
    np.testing.assert_allclose(phase.weight, [0.5, -1.0], atol=0.02)
    assert float(scalars["loss"]) < 1e-3


def test_the_average_is_kept():
    phase = Parabola(average=0.9)
    path = []
    for number in range(30):
        phase.step(x(1.0, -1.0), tf.constant(number))
        path.append(phase.weight.numpy())
    phase.finish(None)
    kept = phase.weight.numpy()
    assert not np.array_equal(kept, path[-1])
    average = path[0]
    for weight in path[1:]:
        average = 0.9 * average + 0.1 * weight
    np.testing.assert_allclose(kept, average, atol=0.05)


def test_scalars_and_state():
    phase = Parabola()
    scalars = phase.step(x(3.0, 4.0), tf.constant(0))
    assert (float(scalars["loss"]), float(scalars["gradient_norm"])) == (12.5, 5.0)
    assert set(phase.state()) == {"layer", "optimizer", "typical_norm", "loss_scale"}
    assert phase.evaluate(x(1.0, 1.0)) == {} and phase.fault(1, {}) is None


def test_normal_numbers_depend_on_seed_step_and_stream():
    phase, other = Parabola(), Parabola()
    other.seed = 1

    def draw(phase, number, **kwargs):
        return phase.normal(tf.constant(number), 6, 3, **kwargs).numpy()

    first = draw(phase, 4)
    assert first.shape == (6, 3)
    np.testing.assert_array_equal(draw(phase, 4), first)
    for drawn in (draw(phase, 5), draw(other, 4), draw(phase, 4, stream=1)):
        assert np.abs(drawn - first).min() > 0
    numbers = phase.normal(tf.constant(0), 10_000, 2).numpy()
    assert numbers.mean() == pytest.approx(0.0, abs=0.03)
    assert numbers.std() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("dtype, expected", [
    ("float32", False), ("mixed_float16", True), ("mixed_bfloat16", False)])
def test_networks_that_compute_in_float16(dtype, expected):
    """Layers inside of networks count as well."""
    network = keras.Sequential([keras.layers.Dense(2, dtype=dtype)])
    assert uses_float16(dict(network=network, plain=keras.layers.Dense(1))) == expected
