"""Kernels in 16 bits: rounded once, the same in the networks and in what is kept of them."""

import keras
import numpy as np
import tensorflow as tf

from galsim_deep_training.export.float16_weights import Float16Weights


def network():
    keras.utils.set_random_seed(4)
    return keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(8, activation="relu"),
                             keras.layers.Dense(3)])


def test_networks_and_what_is_kept_agree():
    net, original = network(), network()
    net.layers[0].bias.assign(np.full(8, 0.1))  # no number of 16 bits
    halved = Float16Weights(dict(net=net))
    x = tf.random.stateless_normal([5, 6], (1, 2))
    expected = net(x).numpy()
    np.testing.assert_allclose(expected, (lambda: (
        original.layers[0].bias.assign(np.full(8, 0.1)), original(x).numpy())[1])(), atol=5e-3)
    # The networks may change: what is kept does not.
    for variable in net.variables:
        if len(variable.shape) > 1:
            variable.assign(tf.zeros(variable.shape))
    found = halved.call(lambda x: net(x))(x=x)
    np.testing.assert_array_equal(found, expected)
    assert not np.allclose(net(x), expected)


def test_only_kernels_are_halved():
    net = network()
    halved = Float16Weights(dict(net=net))
    assert [variable.dtype.name for variable in halved.variables] == [
        "float16", "float32", "float16", "float32"]


def test_what_16_bits_cannot_hold_is_kept_whole():
    net = network()
    net.layers[0].kernel.assign(np.full((6, 8), 1e5))
    halved = Float16Weights(dict(net=net))
    assert halved.variables[0].dtype == tf.float32
    np.testing.assert_array_equal(net.layers[0].kernel, np.full((6, 8), 1e5, np.float32))


def test_gradients_flow_through_kernels():
    """As a signature needs that climbs to a maximum."""
    net = network()
    halved = Float16Weights(dict(net=net))

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(net(x) ** 2)
        return tape.gradient(value, x)

    x = tf.ones([2, 6])
    found = tf.function(lambda x: halved.call(lambda x: slope(x))(x=x))(x)
    np.testing.assert_allclose(found, slope(x), rtol=1e-5)


def test_fewer_significant_bits():
    net, original = network(), network()
    Float16Weights(dict(net=net), significant_bits=5)
    kernel, exact = net.layers[0].kernel.numpy(), original.layers[0].kernel.numpy()
    np.testing.assert_allclose(kernel, exact, rtol=2.0**-5)
    mantissa, _ = np.frexp(kernel)
    np.testing.assert_array_equal(32 * mantissa, np.round(32 * mantissa))
    assert np.abs(kernel / exact - 1).max() > 2.0**-8


def test_a_function_depends_on_the_kernels_that_it_uses():
    net = network()
    halved = Float16Weights(dict(net=net))
    first = tf.function(lambda x: halved.call(lambda x: dict(y=net.layers[0](x)))(x=x))
    used = {variable.ref() for variable in first.get_concrete_function(
        tf.TensorSpec([None, 6])).graph.variables}
    assert used == {variable.ref() for variable in halved.variables[:2]}
