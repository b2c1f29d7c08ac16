"""Spectral normalisation: the norm is the largest singular value, and its gradient is right."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.spectral import (
    SpectralConv,
    SpectralDense,
    fold_spectral_norm,
    layers_of,
)

LAYERS = {"dense": (lambda: SpectralDense(7), (4, 11)),
          "conv": (lambda: SpectralConv(7, 3), (4, 6, 6, 5))}


@pytest.fixture(params=LAYERS)
def layer_and_input(request):
    make, shape = LAYERS[request.param]
    return make(), np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def train(layer, x, steps=60):
    for _ in range(steps):
        y = layer(x, training=True)
    return y.numpy()


def spectral_norm(layer):
    kernel = layer.kernel.numpy()
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def test_power_iteration_finds_the_norm(layer_and_input):
    layer, x = layer_and_input
    train(layer, x)
    assert float(layer.norm) == pytest.approx(spectral_norm(layer), rel=1e-3)


def test_output_does_not_depend_on_the_norm_of_the_kernel(layer_and_input):
    layer, x = layer_and_input
    train(layer, x)
    before = layer(x).numpy()
    layer.kernel.assign(10 * layer.kernel)
    np.testing.assert_allclose(train(layer, x, steps=5), before, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(layer(x).numpy(), before, rtol=1e-3, atol=1e-5)


def test_folding_keeps_the_output(layer_and_input):
    layer, x = layer_and_input
    train(layer, x)
    before = layer(x).numpy()
    fold_spectral_norm(layer)
    np.testing.assert_allclose(layer(x).numpy(), before, rtol=1e-3, atol=1e-5)
    assert float(layer.norm) == 1.0
    assert spectral_norm(layer) == pytest.approx(1.0, rel=1e-3)


def test_gradient_has_no_component_along_the_kernel(layer_and_input):
    """The output does not depend on the length of the kernel."""
    layer, x = layer_and_input
    train(layer, x, steps=100)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x, training=True) ** 2)
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    along = np.sum(gradient * layer.kernel.numpy()) / np.linalg.norm(layer.kernel.numpy())
    assert abs(along) < 1e-2 * np.linalg.norm(gradient)


def test_variables_change_in_training_only(layer_and_input):
    layer, x = layer_and_input
    layer(x)
    before = [variable.numpy() for variable in layer.variables]
    layer(x)
    for value, variable in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_layers_of_a_network():
    network = keras.Sequential([SpectralDense(3), SpectralDense(2)])
    network(tf.ones([1, 4]))
    assert [layer.units for layer in layers_of(network, SpectralDense)] == [3, 2]
