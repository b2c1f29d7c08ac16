"""Running signatures in TensorFlow."""

import os
import pickle
import subprocess
import sys

import galsim
import numpy as np
import pytest

from galsim_deep.modules.runners import tensorflow as module
from galsim_deep.modules.runners.tensorflow import CPU_BATCH, TensorFlowRunner, is_gpu_available


@pytest.fixture(scope="module")
def runner(shapes_folder):
    return TensorFlowRunner(shapes_folder)


def sample_inputs(count):
    rng = np.random.default_rng(3)
    return dict(
        flux_radius=np.linspace(4, 12, count, dtype=np.float32),
        mag_auto=np.linspace(21, 25, count, dtype=np.float32),
        random_normal=rng.standard_normal((20, 3), np.float32)[:count],
        galaxy_class=np.arange(count, dtype=np.int32) % 3)


def test_shapes(runner):
    assert runner.signature_inputs("decode") == dict(
        flux_radius=(None,), mag_auto=(None,), latent=(None, 2), galaxy_class=(None,))
    assert runner.signature_outputs("sample") == dict(
        image=(None, 32, 32, 1), galaxy_class=(None,))


@pytest.mark.parametrize("count", [0, 1, CPU_BATCH, CPU_BATCH + 1, 20])
def test_rows(runner, count):
    """All rows come out, in their order, the same as alone to rounding."""
    inputs = sample_inputs(count)
    outputs = runner.call("sample", inputs)
    assert outputs["galaxy_class"].tolist() == inputs["galaxy_class"].tolist()
    assert outputs["image"].shape == (count, 32, 32, 1)
    for row in range(0, count, 7):
        alone = runner.call("sample", {name: values[row:row + 1]
                                       for name, values in inputs.items()})["image"][0]
        np.testing.assert_allclose(alone, outputs["image"][row], atol=1e-6 * alone.max())


def test_pickled(runner):
    inputs = sample_inputs(3)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(runner)).call("sample", inputs)["image"],
        runner.call("sample", inputs)["image"])


@pytest.mark.parametrize("method", ["call", "signature_inputs", "signature_outputs"])
def test_unknown_signature(runner, method):
    arguments = [sample_inputs(1)] if method == "call" else []
    with pytest.raises(galsim.GalSimValueError, match="sample") as caught:
        getattr(runner, method)("paint", *arguments)
    assert caught.value.value == "paint"


def test_a_folder_that_cannot_be_loaded(tmp_path):
    with pytest.raises(galsim.GalSimError, match=str(tmp_path)):
        TensorFlowRunner(tmp_path).signature_inputs("sample")


FORK = """
import os, sys
from pathlib import Path
import galsim
import numpy as np
from galsim_deep.modules.runners.tensorflow import TensorFlowRunner, is_tensorflow_started

inputs = dict(flux_radius=np.float32([5]), mag_auto=np.float32([22]),
              galaxy_class=np.int32([0]))
runner = TensorFlowRunner(Path(sys.argv[1]))
assert not is_tensorflow_started() and "tensorflow" not in sys.modules
child = os.fork()
if not child:
    runner.call("prior", inputs)
    os._exit(0 if is_tensorflow_started() else 1)
assert os.waitpid(child, 0)[1] == 0
assert not is_tensorflow_started()
runner.call("prior", inputs)
assert is_tensorflow_started()
child = os.fork()
if not child:
    try:
        runner.call("prior", inputs)
    except galsim.GalSimError as err:
        os._exit(0 if "fork" in str(err) and not is_tensorflow_started() else 1)
    os._exit(2)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork here")
def test_forks(shapes_folder):
    """A child may start TensorFlow before its parent has, and gets an error after that."""
    done = subprocess.run([sys.executable, "-c", FORK, str(shapes_folder)], capture_output=True,
                          text=True, env=dict(os.environ, CUDA_VISIBLE_DEVICES=""))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("visible", ["", "-1"])
def test_no_gpu_where_none_is_visible(monkeypatch, visible):
    """TensorFlow is not even imported to find out."""
    monkeypatch.setattr(module, "_GPU_DRIVERS", (__file__,))
    monkeypatch.setattr(module, "_tensorflow_has_gpu", lambda _: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert is_gpu_available()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert not is_gpu_available()


def test_no_gpu_without_a_driver(monkeypatch):
    monkeypatch.setattr(module, "_GPU_DRIVERS", ("/nothing",))
    monkeypatch.setattr(module, "_tensorflow_has_gpu", lambda _: pytest.fail("it was imported"))
    assert not is_gpu_available()
