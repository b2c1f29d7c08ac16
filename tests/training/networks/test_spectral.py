import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.spectral import SpectralConv, SpectralDense, settle

KINDS = {"dense": (lambda: SpectralDense(7), (4, 11)),
         "conv": (lambda: SpectralConv(7, 3), (4, 6, 6, 5))}


@pytest.fixture(params=KINDS)
def layer_and_input(request):
    make, shape = KINDS[request.param]
    return make(), np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def largest(layer):
    kernel = layer.kernel.numpy()
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def test_training_finds_the_norm(layer_and_input):
    layer, x = layer_and_input
    for _ in range(60):
        layer(x, training=True)
    assert float(layer.norm) == pytest.approx(largest(layer), rel=1e-3)


def test_what_is_computed_with_has_norm_one(layer_and_input):
    layer, x = layer_and_input
    for _ in range(60):
        layer(x, training=True)
    before = layer(x).numpy()
    layer.kernel.assign(10 * layer.kernel)
    for _ in range(5):
        trained = layer(x, training=True).numpy()
    np.testing.assert_allclose(trained, before, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(layer(x).numpy(), before, rtol=1e-3, atol=1e-5)


def test_settled_nothing_changes_and_nothing_is_divided_any_more(layer_and_input):
    layer, x = layer_and_input
    for _ in range(60):
        layer(x, training=True)
    before = layer(x).numpy()
    settle(layer)
    np.testing.assert_allclose(layer(x).numpy(), before, rtol=1e-3, atol=1e-5)
    assert float(layer.norm) == 1.0
    assert largest(layer) == pytest.approx(1.0, rel=1e-3)


def test_the_norm_has_a_gradient(layer_and_input):
    """Along the kernel itself nothing changes, since its length does not count."""
    layer, x = layer_and_input
    for _ in range(100):
        layer(x, training=True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x, training=True) ** 2)
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    along = np.sum(gradient * layer.kernel.numpy()) / np.linalg.norm(layer.kernel.numpy())
    assert abs(along) < 1e-2 * np.linalg.norm(gradient)


def test_without_training_nothing_moves(layer_and_input):
    layer, x = layer_and_input
    layer(x)
    before = [v.numpy() for v in layer.variables]
    layer(x)
    for value, variable in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
