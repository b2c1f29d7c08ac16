"""Polar grids: their coordinates, the interpolation of their maps, their winding."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.rendering.polar import INNER, OUTER, PolarGrid, arctan2, bilinear


@pytest.fixture
def grid():
    return PolarGrid(32, 64)


def test_rows_and_columns(grid):
    edges = np.concatenate([grid.log_radius - 0.5 * grid.step, [grid.log_radius[-1]
                                                               + 0.5 * grid.step]])
    np.testing.assert_allclose(np.exp(edges[[0, -1]]), [INNER, OUTER], rtol=1e-5)
    assert grid.angle[0] == pytest.approx(np.pi / 64)
    x, y = grid.points(tf.zeros([2]))
    assert x.shape == y.shape == (2, 32, 64)
    np.testing.assert_allclose(np.hypot(x, y)[1, :, 5], np.exp(grid.log_radius), rtol=1e-5)


@pytest.mark.parametrize("winding", [0.0, 1.3, -2.0])
def test_maps_are_interpolated_at_their_own_points(grid, winding):
    rng = np.random.default_rng(1)
    maps = tf.constant(rng.normal(size=(3, 32, 64)), tf.float32)
    winding = tf.fill([3], winding)
    found = grid.at(maps, *grid.points(winding), winding)
    # The first and the last row lie at the limits of the interpolation.
    np.testing.assert_allclose(found[:, 1:-1], maps[:, 1:-1], atol=2e-3)


def test_a_spiral_is_a_column(grid):
    """A logarithmic spiral of a winding, on the grid of that winding."""
    winding = tf.constant([0.8])
    x, y = grid.points(winding)
    angle = np.arctan2(y, x) - 0.8 * 0.5 * np.log(np.square(x) + np.square(y))
    wave = np.cos(3 * angle)[0]
    np.testing.assert_allclose(wave, np.broadcast_to(wave[:1], wave.shape), atol=1e-4)


def test_coarse_maps_are_smooth_versions_of_fine_ones(grid):
    """The coordinates of cells do not depend on the number of rows."""
    x, y = grid.points(tf.zeros([1]))
    def wave(rows):
        other = PolarGrid(rows, 2 * rows)
        return tf.cos(other.log_radius[:, None] + tf.cos(other.angle))[None]

    one, other = (grid.at(wave(rows), x, y, tf.zeros([1])) for rows in (32, 16))
    np.testing.assert_allclose(one[:, 2:-2], other[:, 2:-2], atol=0.02)


def test_the_seam_is_not_seen(grid):
    """Columns are periodic."""
    x = tf.constant([[-1.0, -1.0]])
    y = tf.constant([[1e-4, -1e-4]])
    maps = tf.constant(np.random.default_rng(2).normal(size=(1, 32, 64)), tf.float32)
    above, below = grid.at(maps, x, y, tf.zeros([1])).numpy()[0]
    assert above == pytest.approx(below, abs=0.02)


def test_bilinear():
    image = tf.reshape(tf.range(12.0), [1, 3, 4])
    rows, columns = tf.constant([[0.0, 0.5, 1.25]]), tf.constant([[0.0, 1.5, 2.0]])
    np.testing.assert_allclose(bilinear(image, rows, columns), [[0.0, 3.5, 7.0]], atol=1e-6)


def test_angles():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 5000)).astype(np.float32)
    x[:4], y[:4] = [0.0, 0.0, 1.0, -1.0], [1.0, -1.0, 0.0, 0.0]
    found = arctan2(tf.constant(y), tf.constant(x)).numpy()
    np.testing.assert_allclose(found, np.arctan2(y, x), atol=2e-5)
    # It is finite where there is no angle.
    assert np.isfinite(arctan2(tf.zeros([1]), tf.zeros([1])))


def test_positions_that_are_not_numbers():
    images = tf.ones([1, 4, 8])
    positions = tf.constant([[1.5, np.nan]], tf.float32)
    found = bilinear(images, positions, positions).numpy()
    assert found[0, 0] == 1.0 and np.isnan(found[0, 1])
