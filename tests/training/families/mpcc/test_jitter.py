"""Random shifts, rotations and scalings: known displacements, and the adjoint as gradient."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.jitter import SIZE, jittered


@pytest.fixture
def views():
    x = np.linspace(-4, 4, 32)
    blob = np.exp(-0.5 * (x**2 + 4 * x[:, None] ** 2)).astype(np.float32)
    inner = np.exp(-0.5 * (x**2 + 4 * x[:, None] ** 2) / 4).astype(np.float32)
    return [np.repeat(blob[None, ..., None], 3, axis=0), np.repeat(inner[None, ..., None], 3, 0)]


def centroids(view):
    x = np.arange(view.shape[1]) - 0.5 * (view.shape[1] - 1)
    view = np.asarray(view)[..., 0]
    total = view.sum(axis=(1, 2))
    return (view.sum(axis=1) @ x) / total, (view.sum(axis=2) @ x) / total


def test_zero_amplitudes_change_nothing(views):
    for view, moved in zip(views, jittered(views, tf.ones([3, SIZE]), 0.0, 0.0, 0.0), strict=True):
        np.testing.assert_allclose(moved, view, atol=1e-6)


def test_shifts(views):
    normal = tf.constant([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [-1.0, 0, 0, 0]])
    x, y = centroids(jittered(views, normal, 0.1, 0.0, 0.0)[0])
    np.testing.assert_allclose(x, [-3.2, 0.0, 3.2], atol=0.05)
    np.testing.assert_allclose(y, [0.0, -3.2, 0.0], atol=0.05)


def test_rotations_and_scalings(views):
    normal = tf.constant([[0, 0, np.pi / 2, 0], [0, 0, 0, 1.0], [0, 0, 0, -1.0]], tf.float32)
    moved = jittered(views, normal, 0.1, 1.0, 0.3)[0].numpy()[..., 0]
    blob = views[0][0, ..., 0]
    np.testing.assert_allclose(moved[0], blob.T, atol=1e-4)
    np.testing.assert_allclose(moved[1:].sum(axis=(1, 2)) / blob.sum(),
                               np.exp([0.6, -0.6]), rtol=0.03)


@pytest.mark.parametrize("turn, stretch", [(1.0, 0.0), (0.0, 0.3), (0.0, -0.3), (0.5, 0.2)])
def test_gradient_is_the_adjoint(views, turn, stretch):
    """<g, J x> = <J^T g, x> for the linear operator J."""
    image, normal = tf.constant(views[0]), tf.tile([[0.2, -0.1, 1.0, 1.0]], [3, 1])
    rng = np.random.default_rng(1)
    weight = tf.constant(views[1] * (1 + 0.1 * rng.standard_normal(views[1].shape)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(image)
        moved, = jittered([image], normal, 0.1, turn, stretch)
        product = tf.reduce_sum(weight * moved)
    assert float(tf.reduce_sum(tape.gradient(product, image) * image)) == pytest.approx(
        float(product), rel=0.01)


def test_gradients_reach_the_images(views):
    image = tf.Variable(views[0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(jittered([image], tf.ones([3, 4]), 0.05, 0.1, 0.1)[0] ** 2)
    assert np.abs(tape.gradient(loss, image)).max() > 0
