"""Building blocks: shapes, and that they do what their names say."""

import numpy as np
import tensorflow as tf

from galsim_deep_training.networks.blocks import (
    ACTIVATION,
    ResidualBlock,
    bounded_scale,
    dense,
    softplus,
)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def test_residual_block():
    block, x = ResidualBlock(6), normal(2, 8, 8, 6)
    y = block(x)
    assert y.shape == x.shape
    assert len(block.trainable_variables) == 4
    block.second.kernel.assign(tf.zeros_like(block.second.kernel))
    np.testing.assert_array_equal(block(x), x)
    # Near the identity when a fit starts.
    assert 0.0 < np.std(y - x) < 0.5 * np.std(x)


def test_a_residual_block_does_not_mix_galaxies():
    block, x = ResidualBlock(4), normal(3, 8, 8, 4)
    changed = tf.concat([x[:1], 100 * x[1:]], axis=0)
    np.testing.assert_allclose(block(changed)[0], block(x)[0], atol=1e-6)


def test_bounded_scale():
    scale = bounded_scale(tf.constant([-1e6, -0.1, 0.0, 0.1, 1e6])).numpy()
    np.testing.assert_allclose(scale, np.exp([-4.0, -0.1, 0.0, 0.1, 4.0]), rtol=1e-3)


def test_dense():
    x = normal(5, 3)
    network = dense(4, (7, 6))
    assert network(x).shape == (5, 4)
    assert [v.shape for v in network.trainable_variables] == [
        (3, 7), (7,), (7, 6), (6,), (6, 4), (4,)]
    assert np.ptp(network(x)) > 0
    np.testing.assert_array_equal(dense(4, (7, 6), last="zeros")(x), np.zeros((5, 4)))


def test_a_graph_equals_the_eager_network():
    """For the activation that the networks use: see the docstring of the module.

    The pattern is that which TensorFlow 2.21 gets wrong for ``leaky_relu``: a convolution, its
    bias, a sum and the activation in one, in a graph without gradient.
    """
    import keras

    activation = keras.activations.get(ACTIVATION)
    kernel, bias, x = 0.1 * normal(3, 3, 16, 16), normal(16), normal(8, 16, 16, 16, seed=1)

    def block(x):
        return activation(x + tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))

    np.testing.assert_allclose(tf.function(block)(x), block(x), atol=1e-5)


def test_softplus_is_precise_where_it_is_small():
    x = np.linspace(-40, 40, 2001).astype(np.float32)
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        found = softplus(variable)
    np.testing.assert_allclose(found, np.logaddexp(0, x.astype(float)), rtol=1e-6)
    slope = tape.gradient(found, variable).numpy()
    away = x != 0
    np.testing.assert_allclose(
        slope[away], 1 / (1 + np.exp(-x.astype(float)))[away], rtol=1e-5)
