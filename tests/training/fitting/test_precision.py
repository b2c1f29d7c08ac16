"""Number formats: what "auto" finds, and that a fit in 16 bits works."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.fitting import precision
from galsim_deep_training.fitting.graphs import as_graph
from galsim_deep_training.fitting.phase import GradientPhase
from galsim_deep_training.fitting.precision import LossScale, has_bfloat16, policy, under_policy
from galsim_deep_training.recipe import PhaseSettings


@pytest.mark.parametrize("flags, expected", [
    ("fpu avx2 avx512f avx512_vnni", False), ("fpu avx512_bf16", True),
    ("fpu amx_bf16 amx_tile", True), ("fpu amx_tile avx512_bf16x", False)])
def test_processors(flags, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: x\nflags\t\t: {flags}\n")
    assert has_bfloat16(path) is expected


def test_no_such_list(tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    assert has_bfloat16(tmp_path / "absent") is False


@pytest.mark.parametrize("capability, expected", [((7, 5), False), ((8, 0), True), ((9, 0), True),
                                                  (None, False)])
def test_gpus(capability, expected, monkeypatch, tmp_path):
    """They decide, whatever the processor can do."""
    monkeypatch.setattr(tf.config, "list_physical_devices",
                        lambda kind=None: ["one"] if kind == "GPU" else [])
    monkeypatch.setattr(tf.config.experimental, "get_device_details",
                        lambda gpu: dict(compute_capability=capability) if capability else {})
    path = tmp_path / "cpuinfo"
    path.write_text("flags\t\t: amx_bf16\n")
    assert has_bfloat16(path) is expected


@pytest.mark.parametrize("has, expected", [(True, "mixed_bfloat16"), (False, "float32")])
def test_policy(has, expected, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: has)
    assert policy("auto") == expected
    assert policy("mixed_float16") == "mixed_float16" and policy("float32") == "float32"


def test_the_policy_is_put_back():
    before = keras.config.dtype_policy()
    with pytest.raises(KeyError), under_policy("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
        raise KeyError
    assert keras.config.dtype_policy() == before


class Regression(GradientPhase):
    """A small network that learns a sum, with gradients of a chosen size."""

    name = "regression"

    def __init__(self, size=1.0):
        self.size = size
        self.network = keras.Sequential(
            [keras.layers.Dense(16, "relu"), keras.layers.Dense(1, dtype="float32")])
        self.network.build((None, 4))
        super().__init__(PhaseSettings(steps=200, learning_rate=0.01, warm_up=5), 0,
                         dict(network=self.network), self.network.trainable_variables)

    def batches(self, dataset, start):
        raise NotImplementedError

    def loss(self, batch, number):
        error = self.network(batch["x"])[:, 0] - tf.reduce_sum(batch["x"], axis=-1)
        return self.size * tf.reduce_mean(tf.square(error)), {}


# Tiny gradients vanish in float16 without a scale, and large ones overflow; the other formats have
# the same range.
@pytest.mark.parametrize("name, size", [
    ("float32", 1.0), ("mixed_bfloat16", 1e-4), ("mixed_bfloat16", 1e6), ("mixed_float16", 1e-4),
    ("mixed_float16", 1.0), ("mixed_float16", 1e6)])
def test_a_fit(name, size):
    keras.utils.set_random_seed(0)
    with under_policy(name):
        phase = Regression(size)
    assert phase.optimiser_step.loss_scale.active == (name == "mixed_float16")
    step = as_graph(phase.step)
    rng = np.random.default_rng(0)
    losses = [float(step(dict(x=tf.constant(rng.standard_normal((64, 4)), tf.float32)),
                         tf.constant(number))["loss"]) / size for number in range(200)]
    assert np.mean(losses[-10:]) < 0.1 * losses[0]
    assert all(variable.dtype == "float32" for variable in phase.variables)


def test_loss_scale():
    scale = LossScale(True)
    scale.patience = 3
    start = float(scale.scale)
    assert float(scale.scaled(2.0)) == 2 * start
    np.testing.assert_allclose(scale.unscaled([tf.constant(start)]), [1.0])
    for finite, expected in [(False, 0.5), (True, 0.5), (True, 0.5), (True, 1.0), (True, 1.0),
                             (False, 0.5)]:
        scale.update(tf.constant(finite))
        assert float(scale.scale) == expected * start


def test_loss_scale_that_is_not_wanted():
    scale = LossScale(False)
    assert scale.scaled(2.0) == 2.0 and scale.unscaled([3.0]) == [3.0]
    scale.update(tf.constant(False))
    assert float(scale.scale) == 1.0
