"""Random views of images."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.shared.views import ViewSettings, prepared, random_view

SIZE = 24
STILL = dict(flip=False, rotate=False, zoom=0.0, shift=0.0, contrast=0.0, noise=0.0, blur=0.0)


@pytest.fixture(scope="module")
def images():
    """Smooth images without a symmetry, [4, S, S, 2]."""
    axis = np.arange(SIZE) - 0.5 * (SIZE - 1)
    x, y = np.meshgrid(axis, axis)
    blobs = [np.exp(-0.5 * ((x - a)**2 + (y - b)**2) / 4.0)
             for a, b in [(3.0, 1.0), (-2.0, 3.0), (0.0, -4.0), (2.0, 2.0)]]
    return np.stack([np.stack([blob, 0.5 * blob], axis=-1) for blob in blobs]).astype(np.float32)


def view(images, seed=(1, 2), **settings):
    return random_view(tf.constant(images), ViewSettings(**dict(STILL, **settings)),
                       tf.constant(seed)).numpy()


def test_without_changes_a_view_is_the_image(images):
    np.testing.assert_allclose(view(images), images, atol=1e-4)


def test_flips(images):
    found = view(np.repeat(images[:1], 40, axis=0), flip=True)
    mirrored = [np.allclose(each, images[0, :, ::-1], atol=1e-4) for each in found]
    same = [np.allclose(each, images[0], atol=1e-4) for each in found]
    assert np.all(np.logical_xor(mirrored, same)) and 8 < sum(mirrored) < 32


def test_rotations_keep_the_distance_from_the_middle(images):
    found = view(np.repeat(images[:1], 30, axis=0), rotate=True)[..., 0]
    axis = np.arange(SIZE) - 0.5 * (SIZE - 1)
    total = found.sum(axis=(1, 2))
    x, y = (found.sum(axis=other) @ axis / total for other in (1, 2))
    np.testing.assert_allclose(np.hypot(x, y), np.hypot(3.0, 1.0), rtol=0.02)
    angles = np.arctan2(y, x)
    # All directions occur.
    assert np.abs(np.exp(1j * angles).mean()) < 0.5 and np.ptp(angles) > 4


def test_zoom_changes_the_area(images):
    found = view(np.repeat(images[:1], 40, axis=0), zoom=0.3)[..., 0]
    area = found.sum(axis=(1, 2)) / images[0, ..., 0].sum()
    assert 0.45 < area.min() < 0.7 and 1.4 < area.max() < 1.75


def test_shifts(images):
    found = view(np.repeat(images[:1], 40, axis=0), shift=0.1)[..., 0]
    axis = np.arange(SIZE) - 0.5 * (SIZE - 1)
    moved = found.sum(axis=1) @ axis / found.sum(axis=(1, 2)) - 3.0
    assert np.abs(moved).max() < 0.1 * SIZE + 0.1 and moved.std() > 0.8


def test_blur_and_noise(images):
    assert view(images, blur=0.9).max() < 0.97 * images.max()
    noisy = view(np.zeros_like(np.repeat(images, 20, axis=0)), noise=0.2)
    assert 0.05 < noisy.std() < 0.2


def test_views_are_a_function_of_the_seed(images):
    changes = dict(flip=True, rotate=True, zoom=0.2, noise=0.1)
    np.testing.assert_array_equal(view(images, **changes), view(images, **changes))
    assert np.abs(view(images, **changes) - view(images, seed=(1, 3), **changes)).max() > 0.1


def test_preparation_does_not_depend_on_the_unit(images):
    sigma = tf.constant([0.1, 0.02, 0.3, 0.0])
    found = prepared(tf.constant(images), sigma)
    np.testing.assert_allclose(prepared(300.0 * images, 300.0 * sigma), found, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tf.reduce_max(found, axis=[1, 2, 3]), 1.0, rtol=1e-5)


def test_a_stamp_of_noise_stays_faint():
    noise = np.random.default_rng(1).standard_normal((1, SIZE, SIZE, 1)).astype(np.float32)
    assert prepared(0.2 * noise, tf.constant([1.0])).numpy().max() < 0.9
    assert np.all(np.isfinite(prepared(np.zeros_like(noise), tf.constant([0.0]))))
