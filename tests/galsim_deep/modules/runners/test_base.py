"""What all runners promise, checked for each of them."""

import galsim
import numpy as np
import pytest

from galsim_deep.modules.runners.litert import LiteRTRunner
from galsim_deep.modules.runners.tensorflow import TensorFlowRunner

COUNT = 5


@pytest.fixture(scope="module", params=[LiteRTRunner, TensorFlowRunner],
                ids=lambda cls: cls.__name__)
def runner(request, shapes_folder):
    return request.param(shapes_folder)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(3)
    return dict(
        flux_radius=np.linspace(4, 12, COUNT, dtype=np.float32),
        mag_auto=np.linspace(21, 25, COUNT, dtype=np.float32),
        random_normal=rng.standard_normal((COUNT, 3), np.float32),
        galaxy_class=np.arange(COUNT, dtype=np.int32) % 3)


def test_shapes_are_those_of_the_arrays(runner, inputs):
    outputs = runner.call("sample", inputs)
    for shapes, arrays in [(runner.signature_inputs("sample"), inputs),
                           (runner.signature_outputs("sample"), outputs)]:
        assert shapes.keys() == arrays.keys()
        for name, shape in shapes.items():
            assert shape[0] is None and arrays[name].shape == (COUNT, *shape[1:])


def test_a_row_depends_on_no_other(runner, inputs):
    images = runner.call("sample", inputs)["image"]
    order = [3, 0, 4, 1, 2]
    shuffled = runner.call("sample", {name: values[order] for name, values in inputs.items()})
    np.testing.assert_allclose(shuffled["image"], images[order], atol=1e-6 * images.max())
    alone = runner.call("sample", {name: values[2:3] for name, values in inputs.items()})
    np.testing.assert_allclose(alone["image"], images[2:3], atol=1e-6 * images.max())


def test_no_rows(runner, inputs):
    outputs = runner.call("sample", {name: values[:0] for name, values in inputs.items()})
    assert {name: values.shape[0] for name, values in outputs.items()} == dict(
        image=0, galaxy_class=0)


def test_inputs_are_converted_to_the_types_of_the_graph(runner, inputs):
    as_python_has_them = {name: values.astype(float if values.dtype.kind == "f" else int)
                          for name, values in inputs.items()}
    for name, values in runner.call("sample", as_python_has_them).items():
        np.testing.assert_array_equal(values, runner.call("sample", inputs)[name])


@pytest.mark.parametrize("changes, fact", [
    (dict(mag_auto=None), "mag_auto is missing"),
    (dict(colour=np.ones(COUNT)), "colour is unknown"),
    (dict.fromkeys(("flux_radius", "mag_auto", "random_normal", "galaxy_class")), "is missing"),
    (dict(flux_radius=np.ones(COUNT, complex)), "flux_radius .* wrong type.* complex128"),
    (dict(flux_radius=np.array(["a"] * COUNT)), "flux_radius .* wrong type"),
    (dict(galaxy_class=np.ones(COUNT)), "galaxy_class .* wrong type"),
    (dict(mag_auto=np.ones(1)), r"same number of rows.*'mag_auto': 1"),
    (dict(random_normal=np.ones((COUNT, 4))), r"random_normal .* wrong shape.*\(5, 4\)"),
    (dict(mag_auto=np.array(22.0)), "mag_auto .* wrong shape")], ids=str)
def test_inputs_that_do_not_fit(runner, inputs, changes, fact):
    changed = {name: values for name, values in (inputs | changes).items() if values is not None}
    with pytest.raises(galsim.GalSimValueError, match=fact) as caught:
        runner.call("sample", changed)
    assert "Get the module again" not in str(caught.value)


def test_a_graph_that_is_not_there(tmp_path, inputs, runner):
    """The error is GalSim's, and names the folder or file."""
    with pytest.raises(galsim.GalSimError, match=str(tmp_path)):
        type(runner)(tmp_path).call("sample", inputs)
