import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.jitter import jittered


@pytest.fixture
def views():
    x = np.linspace(-4, 4, 32)
    blob = np.exp(-0.5 * (x**2 + 4 * x[:, None] ** 2)).astype(np.float32)
    close = np.exp(-0.5 * (x**2 + 4 * x[:, None] ** 2) / 4).astype(np.float32)
    return [np.repeat(blob[None, ..., None], 3, axis=0), np.repeat(close[None, ..., None], 3, 0)]


def middles(view):
    x = np.arange(view.shape[1]) - 0.5 * (view.shape[1] - 1)
    view = np.asarray(view)[..., 0]
    total = view.sum(axis=(1, 2))
    return (view.sum(axis=1) @ x) / total, (view.sum(axis=2) @ x) / total


def test_nothing_to_move(views):
    for view, moved in zip(views, jittered(views, tf.ones([3, 4]), 0.0, 0.0, 0.0), strict=True):
        np.testing.assert_allclose(moved, view, atol=1e-6)


def test_shifts(views):
    normal = tf.constant([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [-1.0, 0, 0, 0]])
    x, y = middles(jittered(views, normal, 0.1, 0.0, 0.0)[0])
    np.testing.assert_allclose(x, [-3.2, 0.0, 3.2], atol=0.05)
    np.testing.assert_allclose(y, [0.0, -3.2, 0.0], atol=0.05)


def test_turns_and_stretches(views):
    quarter = tf.constant([[0, 0, np.pi / 2, 0], [0, 0, 0, 1.0], [0, 0, 0, -1.0]], tf.float32)
    moved = jittered(views, quarter, 0.1, 1.0, 0.3)[0].numpy()[..., 0]
    blob = views[0][0, ..., 0]
    np.testing.assert_allclose(moved[0], blob.T, atol=1e-4)
    np.testing.assert_allclose(moved[1:].sum(axis=(1, 2)) / blob.sum(),
                               np.exp([0.6, -0.6]), rtol=0.03)


@pytest.mark.parametrize("turn, stretch", [(1.0, 0.0), (0.0, 0.3), (0.0, -0.3), (0.5, 0.2)])
def test_the_gradient_is_that_of_the_movement(views, turn, stretch):
    """<g, J x> = <J^T g, x>, as J is linear."""
    image, normal = tf.constant(views[0]), tf.tile([[0.2, -0.1, 1.0, 1.0]], [3, 1])
    rng = np.random.default_rng(1)
    weight = tf.constant(views[1] * (1 + 0.1 * rng.standard_normal(views[1].shape)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(image)
        moved, = jittered([image], normal, 0.1, turn, stretch)
        seen = tf.reduce_sum(weight * moved)
    assert float(tf.reduce_sum(tape.gradient(seen, image) * image)) == pytest.approx(
        float(seen), rel=0.01)


def test_gradients_reach_the_images(views):
    image = tf.Variable(views[0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(jittered([image], tf.ones([3, 4]), 0.05, 0.1, 0.1)[0] ** 2)
    assert np.abs(tape.gradient(loss, image)).max() > 0
