"""Phases: a gradient phase finds the minimum of its loss, and its noise can be had again."""

import doctest

import galsim
import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset, DatasetWriter
from galsim_deep_training.data.example import Example
from galsim_deep_training.fit import run_phase
from galsim_deep_training.fitting import phase as phase_module
from galsim_deep_training.fitting.checkpoints import Checkpoints
from galsim_deep_training.fitting.distribution import Distribution
from galsim_deep_training.fitting.graphs import as_graph
from galsim_deep_training.fitting.phase import GradientPhase, Phase, uses_float16
from galsim_deep_training.recipe import PhaseSettings, Stamp


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


@pytest.fixture
def run(tmp_path):
    """A working folder with a data set of four examples, one of them for the test."""
    with DatasetWriter(tmp_path / "data.h5", Stamp(size=4, psf_size=3), [],
                       np.ones((1, 3, 3)) / 9) as writer:
        for number in range(4):
            writer.add(Example(np.ones((4, 4)), 0, 1.0, {}, source=number, test=number == 0))
    return tmp_path


def fit_phase(phase, run):
    run_phase(phase, Checkpoints(phase, f"{phase.name}-1", run), Dataset(run / "data.h5"), run,
              Distribution(), progress=False)


def test_the_documented_example_can_be_fitted(run):
    documented = doctest.DocTestFinder(recurse=False).find(Phase, globs=vars(phase_module))[0]
    definition = next(example.source for example in documented.examples
                      if example.source.startswith("class Count"))
    names = dict(documented.globs)
    exec(definition, names)
    phase = names["Count"](PhaseSettings(steps=3), seed=1)
    fit_phase(phase, run)
    assert float(phase.total) == 6.0


def test_a_phase_without_a_loss(run):
    class Silent(Parabola):
        def batches(self, dataset, start):
            yield dict(x=np.ones(2, np.float32))

        def step(self, batch, number):
            return {}

    with pytest.raises(galsim.GalSimError, match="'parabola' returns no scalar 'loss'.*Silent"):
        fit_phase(Silent(), run)
