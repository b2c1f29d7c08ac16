"""A smaller SavedModel does the same."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from galsim_deep_training.export.smaller_saved_model import make_smaller


class Model(tf.Module):
    """A variable, a loop, a function of its own, and an operation that has to run before others."""

    def __init__(self):
        self.weight = tf.Variable([2.0, 3.0], name="weight")
        self.known = tf.constant([0.5, -0.5])

    @tf.function
    def inner(self, x):
        with tf.name_scope("a_long_name_for_what_is_done_here"):
            product = x * self.weight
            with tf.compat.v1.colocate_with(product.op):
                return tf.reduce_sum(product, axis=-1)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "n1"),
                                  tf.TensorSpec([None, 2], tf.float32, "x")])
    def call(self, n1, x):
        with tf.control_dependencies([tf.debugging.assert_greater(n1, -100.0)]):
            x = tf.while_loop(lambda k, _: k < 3, lambda k, y: (k + 1, y * self.known + n1),
                              (tf.constant(0), x))[1]
        parts = tf.split(x, 2, axis=-1)
        return dict(total=self.inner(x), second=parts[1])


@pytest.fixture
def folder(tmp_path):
    model = Model()
    tf.saved_model.save(model, str(tmp_path), signatures=dict(sample=model.call))
    return tmp_path


def nodes(folder):
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return [node for function in model.meta_graphs[0].graph_def.library.function
            for node in function.node_def]


def names(folder):
    return [node.name for node in nodes(folder)]


def run(folder, **inputs):
    found = tf.saved_model.load(str(folder)).signatures["sample"](
        **{name: tf.constant(value, tf.float32) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in found.items()}


def test_the_same_comes_out(folder):
    # One of the inputs is called as operations will be.
    inputs = dict(n1=[[1.0, 2.0], [3.0, 4.0]], x=[[0.1, 0.2], [0.3, 0.4]])
    before, size = run(folder, **inputs), (folder / "saved_model.pb").stat().st_size
    assert any("a_long_name_for_what_is_done_here" in name for name in names(folder))
    assert any("_class" in node.attr for node in nodes(folder))
    make_smaller(folder)
    after = run(folder, **inputs)
    assert before.keys() == after.keys() == {"total", "second"}
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    assert (folder / "saved_model.pb").stat().st_size < 0.9 * size
    assert max(map(len, names(folder))) < 5
    assert not any("_class" in node.attr for node in nodes(folder))
    with pytest.raises(tf.errors.InvalidArgumentError):
        run(folder, n1=[[-200.0, 0.0]], x=[[0.0, 0.0]])


def test_twice_is_the_same_as_once(folder):
    make_smaller(folder)
    once = (folder / "saved_model.pb").read_bytes()
    make_smaller(folder)
    assert (folder / "saved_model.pb").read_bytes() == once


def test_what_saves_variables_is_removed(folder):
    """It is not needed to load them."""
    make_smaller(folder)
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    functions = {function.signature.name for function in graph.graph_def.library.function}
    assert not any("traced_save" in name for name in functions)
    assert any("traced_restore" in name for name in functions)
    called = {node.attr["f"].func.name for node in graph.graph_def.node if "f" in node.attr}
    assert called <= functions
    # Loaders of TensorFlow 1 restore by the operation that is named here.
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        outputs = loaded.signature_def["sample"].outputs
        inputs = loaded.signature_def["sample"].inputs
        total = session.run(outputs["total"].name, {
            inputs[name].name: [[1.0, 2.0]] for name in ("n1", "x")})
    np.testing.assert_allclose(
        total, run(folder, n1=[[1.0, 2.0]], x=[[1.0, 2.0]])["total"], rtol=1e-6)
