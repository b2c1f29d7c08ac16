"""Fourier series of images on a polar grid."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.et_vae.polar import PolarGrid

SIZE = 33


@pytest.fixture(scope="module")
def grid():
    return PolarGrid(SIZE, radii=16, angles=48, harmonics=20)


def blobs(angle=0.0):
    """Two Gaussians and a gradient of colour, turned by an angle [deg], [2, S, S, 2]."""
    y, x = np.indices((SIZE, SIZE)) - 0.5 * (SIZE - 1)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = c * x + s * y, -s * x + c * y
    first = np.exp(-0.02 * ((x - 5.0)**2 + 2 * y**2))
    second = np.exp(-0.03 * (x**2 + (y - 4.0)**2))
    image = np.stack([first, 0.5 * second], axis=-1)
    return tf.constant(np.stack([image, image[::-1]]), tf.float32)


def test_a_series_and_its_image(grid):
    images = blobs()
    made = grid.images(grid.series(images)).numpy()
    y, x = np.indices((SIZE, SIZE)) - 0.5 * (SIZE - 1)
    np.testing.assert_allclose(made[:, np.hypot(x, y) < 14], images.numpy()[:, np.hypot(x, y) < 14],
                               atol=0.02)
    assert not made[:, np.hypot(x, y) > 17.5].any()


@pytest.mark.parametrize("angle", [7.5, 33.0, 90.0, 205.0])
def test_a_turn_of_the_series_is_that_of_the_image(grid, angle):
    """From x towards y."""
    expected = grid.series(blobs(angle)[:1])
    turned = grid.turned(grid.series(blobs()[:1]), tf.constant([np.radians(angle)], tf.float32))
    np.testing.assert_allclose(turned, expected, atol=0.02)
    # It is not that of the other direction.
    assert np.abs(turned - grid.series(blobs(-angle)[:1])).max() > 0.05


def test_maps_are_the_series(grid):
    series = grid.series(blobs())
    np.testing.assert_allclose(grid.series_of(grid.maps(series)), series, atol=1e-5)


def test_a_turn_by_a_step_is_a_shift_of_the_map(grid):
    series = grid.series(blobs())
    step = np.float32(2 * np.pi / 48)
    turned = grid.turned(series, tf.fill([2], 5 * step))
    np.testing.assert_allclose(
        grid.maps(turned), np.roll(grid.maps(series), 5, axis=2), atol=1e-5)


def test_the_square_difference_is_that_of_the_pixels(grid):
    first, second = blobs(), blobs(40.0)
    found = grid.square_difference(grid.series(first), grid.series(second)).numpy()
    y, x = np.indices((SIZE, SIZE)) - 0.5 * (SIZE - 1)
    inside = np.hypot(x, y) < 16
    expected = np.sum(np.square(first - second)[:, inside], axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert not grid.square_difference(grid.series(first), grid.series(first)).numpy().any()
