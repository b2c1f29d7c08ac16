"""The measured winding of spiral arms."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.rendering.polar import PolarGrid
from galsim_deep_training.rendering.winding import measured_winding

WINDINGS = np.array([0.5, -0.9, 1.6, -2.5])


@pytest.fixture
def grid():
    return PolarGrid(64, 128)


def spirals(grid, windings, arms=2, noise=0.3):
    x, y = (axis.numpy() for axis in grid.points(tf.zeros([len(windings)])))
    angle = np.arctan2(y, x) - windings[:, None, None] * np.log(np.hypot(x, y))
    rng = np.random.default_rng(5)
    return 0.4 * np.cos(arms * angle + 0.7) + noise * rng.normal(size=x.shape)


@pytest.mark.parametrize("arms", [2, 4])
def test_spirals(grid, arms):
    maps = tf.constant(spirals(grid, WINDINGS, arms), tf.float32)
    winding, confidence = measured_winding(grid, maps, tf.ones([4, 64]))
    # Of a spiral of low winding, the maximum of P(w) - P(-w) lies at a larger one.
    np.testing.assert_allclose(winding, WINDINGS, atol=0.35)
    assert np.all(confidence > 0.2) and np.all(confidence <= 1.0)


def test_a_bar_has_no_handedness(grid):
    maps = tf.constant(spirals(grid, np.zeros(4)), tf.float32)
    _, confidence = measured_winding(grid, maps, tf.ones([4, 64]))
    assert np.all(confidence < 0.1)


def test_a_mirror_image_has_the_opposite_winding(grid):
    maps = tf.constant(spirals(grid, WINDINGS), tf.float32)
    winding, confidence = measured_winding(grid, maps, tf.ones([4, 64]))
    mirrored, same = measured_winding(grid, maps[:, :, ::-1], tf.ones([4, 64]))
    np.testing.assert_allclose(mirrored, -winding, atol=0.11)
    np.testing.assert_allclose(same, confidence, rtol=0.01)


def test_rings_without_weight_do_not_count(grid):
    """Nor does the amplitude of the others."""
    maps = spirals(grid, WINDINGS)
    weight = np.ones((4, 64), np.float32)
    weight[:, 40:] = 0.0
    other = maps.copy()
    other[:, 40:] = spirals(grid, -WINDINGS)[:, 40:]
    found, _ = measured_winding(grid, tf.constant(maps, tf.float32), tf.constant(weight))
    same, _ = measured_winding(grid, tf.constant(3.0 * other, tf.float32), tf.constant(weight))
    np.testing.assert_array_equal(found, same)
