"""Drawing: what every light profile is sure to have."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.profiles import measured_radius
from galsim_deep_training.networks.drawing import Drawing, Pose, edge_window
from galsim_deep_training.networks.frame import GalaxyFrame

PSF = galsim.Convolve(galsim.Moffat(beta=3.0, fwhm=2.9), galsim.Pixel(1.0))
COUNT = 6
SIZE = tf.constant([3.5, 4.5, 6.0, 8.0, 11.0, 15.0])
FLUX = tf.constant([1.0, 0.5, 20.0, 300.0, 1.0, 7.0])


@pytest.fixture(scope="module")
def drawing():
    drawing = Drawing(GalaxyFrame(96), psf_radius=2.5)
    drawing.half_light.adapt(
        PSF.drawImage(nx=65, ny=65, scale=1.0, method="no_pixel", dtype=float).array)
    return drawing


@pytest.fixture(scope="module")
def shape(drawing):
    """Uneven ones: knots anywhere."""
    frame, rng = drawing.frame, np.random.default_rng(4)
    numbers = np.zeros((COUNT, frame.cells, frame.cells))
    for image in numbers:
        for x, y in rng.normal(size=(4, 2)):
            image += 2 * np.exp(-0.5 * ((frame.x - x) ** 2 + (frame.y - y) ** 2) / 0.1)
    return drawing.shape(tf.constant(numbers, tf.float32))


def pose(degrees=0.0, **kwargs):
    angle = np.full(COUNT, np.radians(degrees), np.float32)
    return Pose(tf.constant(np.cos(angle)), tf.constant(np.sin(angle)), **kwargs)


def centroids(images):
    y, x = np.indices(images.shape[1:]) - 0.5 * (images.shape[1] - 1)
    total = images.sum(axis=(1, 2))
    return (images * x).sum(axis=(1, 2)) / total, (images * y).sum(axis=(1, 2)) / total


def test_shapes_are_positive_and_sum_to_one(drawing, shape):
    assert shape.shape == (COUNT, 96, 96)
    assert np.all(shape.numpy() >= 0)
    np.testing.assert_allclose(shape.numpy().sum(axis=(1, 2)), 1.0, rtol=1e-5)
    radius = np.hypot(drawing.frame.x, drawing.frame.y)
    np.testing.assert_array_equal(shape.numpy()[:, radius >= drawing.frame.reach], 0.0)


def test_a_silent_network_makes_an_exponential_disc(drawing):
    shape = drawing.shape(tf.zeros((1, 96, 96))).numpy()[0]
    radius = np.hypot(drawing.frame.x, drawing.frame.y)
    ring = (radius > 1.5) & (radius < 4)
    slope = np.polyfit(radius[ring], np.log(shape[ring]), 1)[0]
    assert slope == pytest.approx(-1.678, rel=0.02)
    assert shape[radius < 1].sum() == pytest.approx(0.5, abs=0.03)


def test_guarantees(drawing, shape):
    images = drawing.draw(shape, pose(25.0), SIZE, FLUX).numpy()
    assert images.shape == (COUNT, 96, 96) and images.dtype == np.float32
    assert np.all(np.isfinite(images)) and np.all(images >= 0)
    for edge in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
        np.testing.assert_array_equal(edge, 0.0)
    np.testing.assert_allclose(images.sum(axis=(1, 2), dtype=float), FLUX, rtol=1e-5)


@pytest.mark.parametrize("degrees", [0, 40, 200])
def test_centred_whatever_the_shape(drawing, shape, degrees):
    images = drawing.draw(shape, pose(degrees), SIZE, FLUX).numpy()
    for centroid in centroids(images[:4]):
        np.testing.assert_allclose(centroid, 0.0, atol=0.06)


def test_size_as_observed_is_as_asked(drawing, shape):
    images = drawing.draw(shape, pose(70.0), SIZE, FLUX).numpy().astype(float)
    for image, size in zip(images[:5], SIZE[:5], strict=True):
        observed = galsim.Convolve(
            galsim.InterpolatedImage(galsim.Image(image, scale=1.0)), PSF).drawImage(
                nx=96, ny=96, scale=1.0, method="no_pixel", dtype=float).array
        assert measured_radius(observed) == pytest.approx(float(size), rel=0.02)


def test_a_quarter_turn_of_the_pose_turns_the_image(drawing, shape):
    here = drawing.draw(shape, pose(20.0), SIZE, FLUX).numpy()
    there = drawing.draw(shape, pose(110.0), SIZE, FLUX).numpy()
    peak = here.max(axis=(1, 2), keepdims=True)
    # Rows are y upwards: a quarter turn counter-clockwise on the sky.
    np.testing.assert_allclose(np.rot90(here, -1, axes=(1, 2)) / peak, there / peak, atol=2e-3)


def test_the_pose_moves_enlarges_and_brightens(drawing, shape):
    shift = np.tile([[1.5, -0.8]], (COUNT, 1)).astype(np.float32)
    plain = drawing.draw(shape, pose(), SIZE, FLUX).numpy()
    moved = drawing.draw(shape, pose(shift=tf.constant(shift)), SIZE, FLUX).numpy()
    x, y = centroids(moved[:4])
    np.testing.assert_allclose(x, 1.5, atol=0.08)
    np.testing.assert_allclose(y, -0.8, atol=0.08)
    larger = drawing.draw(shape, pose(ln_size=tf.fill([COUNT], 0.1)), SIZE, FLUX).numpy()
    ratio = measured_radius(larger[3]) / measured_radius(plain[3])
    assert ratio == pytest.approx(np.exp(0.1), rel=0.02)
    brighter = drawing.draw(shape, pose(ln_flux=tf.fill([COUNT], 0.2)), SIZE, FLUX).numpy()
    np.testing.assert_allclose(brighter, np.exp(0.2) * plain, rtol=1e-4)


def test_gradients(drawing, shape):
    shape = tf.Variable(shape)
    angle = tf.Variable(tf.fill([COUNT], 0.3))
    with tf.GradientTape() as tape:
        image = drawing.draw(shape, Pose(tf.cos(angle), tf.sin(angle)), SIZE, FLUX)
        value = tf.reduce_sum(image**2)
    gradient = tape.gradient(value, shape).numpy()
    assert np.all(np.isfinite(gradient)) and np.abs(gradient).max() > 0


@pytest.mark.parametrize("size", [16, 32, 33, 128])
def test_edge_window(size):
    window = edge_window(size)
    assert window.shape == (size,) and window.dtype == np.float32
    assert window[0] == window[-1] == 0.0
    np.testing.assert_array_equal(window, window[::-1])
    rising = window[:(size + 1) // 2]
    assert np.all(np.diff(rising) >= 0)
    if size > 16:
        np.testing.assert_array_equal(window[8:-8], 1.0)
        assert window[4] == pytest.approx(0.5)
