"""Building blocks: shapes, starting values and precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.blocks import (
    ACTIVATION,
    ResidualBlock,
    bounded_scale,
    mlp,
    softplus,
)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def test_residual_block_starts_near_the_identity():
    block, x = ResidualBlock(6), normal(2, 8, 8, 6)
    y = block(x)
    assert y.shape == x.shape
    assert 0.0 < np.std(y - x) < 0.5 * np.std(x)


def test_residual_block_without_residual_is_the_identity():
    block, x = ResidualBlock(6), normal(2, 8, 8, 6)
    block(x)
    assert len(block.trainable_variables) == 4
    block.second.kernel.assign(tf.zeros_like(block.second.kernel))
    np.testing.assert_array_equal(block(x), x)


def test_residual_block_does_not_mix_galaxies():
    block, x = ResidualBlock(4), normal(3, 8, 8, 4)
    changed = tf.concat([x[:1], 100 * x[1:]], axis=0)
    np.testing.assert_allclose(block(changed)[0], block(x)[0], atol=1e-6)


def test_bounded_scale():
    scale = bounded_scale(tf.constant([-1e6, -0.1, 0.0, 0.1, 1e6])).numpy()
    np.testing.assert_allclose(scale, np.exp([-4.0, -0.1, 0.0, 0.1, 4.0]), rtol=1e-3)


def test_mlp_has_the_layers():
    network, x = mlp(4, (7, 6)), normal(5, 3)
    assert network(x).shape == (5, 4)
    assert [v.shape for v in network.trainable_variables] == [
        (3, 7), (7,), (7, 6), (6,), (6, 4), (4,)]
    assert np.ptp(network(x)) > 0


def test_mlp_may_start_with_zeros():
    network = mlp(4, (7, 6), output_initializer="zeros")
    np.testing.assert_array_equal(network(normal(5, 3)), np.zeros((5, 4)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_output_of_mlp_is_float32(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        assert mlp(4, (7,))(normal(5, 3)).dtype == tf.float32
    finally:
        keras.config.set_dtype_policy(before)


def test_graph_equals_eager_for_the_activation():
    """See the docstring of the module.

    The pattern is that which TensorFlow 2.21 computes wrongly for ``leaky_relu``: a convolution,
    its bias, a sum and the activation, in a graph without gradient.
    """
    activation = keras.activations.get(ACTIVATION)
    kernel, bias, x = 0.1 * normal(3, 3, 16, 16), normal(16), normal(8, 16, 16, 16, seed=1)

    def block(x):
        return activation(x + tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))

    np.testing.assert_allclose(tf.function(block)(x), block(x), atol=1e-5)


def test_softplus_has_small_relative_error():
    x = np.linspace(-40, 40, 2001).astype(np.float32)
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = softplus(variable)
    np.testing.assert_allclose(value, np.logaddexp(0, x.astype(float)), rtol=1e-6)
    slope = tape.gradient(value, variable).numpy()
    nonzero = x != 0
    np.testing.assert_allclose(
        slope[nonzero], 1 / (1 + np.exp(-x.astype(float)))[nonzero], rtol=1e-5)
