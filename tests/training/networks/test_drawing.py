"""Drawing: what every light profile is sure to have."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.half_light import measured_radius
from galsim_deep_training.networks.drawing import Drawing, Pose, edge_window
from galsim_deep_training.networks.frame import GalaxyFrame
from galsim_deep_training.networks.orientation import Orientation

PSF = galsim.Convolve(galsim.Moffat(beta=3.0, fwhm=2.9), galsim.Pixel(1.0))
COUNT = 6
SIZE = tf.constant([3.5, 4.5, 6.0, 8.0, 11.0, 15.0])
FLUX = tf.constant([1.0, 0.5, 20.0, 300.0, 1.0, 7.0])


def make_drawing(stamp_size):
    drawing = Drawing([GalaxyFrame(stamp_size, cells=60, reach=5.0),
                       GalaxyFrame(stamp_size, cells=80, reach=2.0)], psf_radius=2.5)
    drawing.half_light.adapt(
        PSF.drawImage(nx=65, ny=65, scale=1.0, method="no_pixel", dtype=float).array)
    return drawing


@pytest.fixture(scope="module")
def drawing():
    return make_drawing(96)


@pytest.fixture(scope="module")
def shape(drawing):
    """Uneven ones: knots anywhere."""
    knots = np.random.default_rng(4).normal(size=(4, COUNT, 2, 1, 1))
    return drawing.shape([tf.constant(sum(
        2 * np.exp(-0.5 * ((frame.x - x) ** 2 + (frame.y - y) ** 2) / 0.1)
        for x, y in knots.swapaxes(1, 2)), tf.float32) for frame in drawing.frames])


def on(drawing, light):
    """A function of x and y on the frames of a drawing, summing to one, for all galaxies."""
    shape = [light(frame) * window for frame, window in zip(
        drawing.frames, drawing.windows, strict=True)]
    total = sum(one.sum() for one in shape)
    return [tf.constant(np.repeat(one[None] / total, COUNT, axis=0), tf.float32) for one in shape]


def pose(degrees=0.0, elongation=0.0, **kwargs):
    angle = np.full(COUNT, np.radians(degrees), np.float32)
    return Pose(Orientation(tf.constant(np.cos(angle)), tf.constant(np.sin(angle)),
                            elongation=tf.fill([COUNT], elongation)), **kwargs)


def centroids(images):
    y, x = np.indices(images.shape[1:]) - 0.5 * (images.shape[1] - 1)
    total = images.sum(axis=(1, 2))
    return (images * x).sum(axis=(1, 2)) / total, (images * y).sum(axis=(1, 2)) / total


def test_shapes_are_positive_and_sum_to_one(drawing, shape):
    np.testing.assert_allclose(sum(one.numpy().sum(axis=(1, 2)) for one in shape), 1.0, rtol=1e-5)
    for one, frame in zip(shape, drawing.frames, strict=True):
        assert one.shape == (COUNT, frame.cells, frame.cells)
        assert np.all(one.numpy() >= 0)
        radius = np.hypot(frame.x, frame.y)
        np.testing.assert_array_equal(one.numpy()[:, radius >= frame.reach], 0.0)


def test_a_silent_network_makes_an_exponential_disc(drawing):
    wide, close = drawing.frames
    shape = drawing.shape([tf.zeros((1, frame.cells, frame.cells)) for frame in (wide, close)])
    # Where the frames overlap the light is shared between them.
    for one, frame, inner, outer in zip(shape, drawing.frames, (2, 0), (4, 1.3), strict=True):
        radius = np.hypot(frame.x, frame.y)
        ring = (radius > inner) & (radius < outer)
        slope = np.polyfit(radius[ring], np.log(one.numpy()[0][ring]), 1)[0]
        assert slope == pytest.approx(-1.678, rel=0.1)
    within = sum(one.numpy()[0][np.hypot(frame.x, frame.y) < 1].sum()
                 for one, frame in zip(shape, drawing.frames, strict=True))
    assert within == pytest.approx(0.5, abs=0.03)


def test_nothing_shows_where_one_frame_goes_over_into_the_next(drawing):
    """Drawn on two grids a smooth galaxy is as on a single fine one."""
    single = Drawing([GalaxyFrame(96, cells=200, reach=5.0)], psf_radius=2.5)
    single.half_light.table.assign(drawing.half_light.table)
    images = []
    for one in (drawing, single):
        smooth = on(one, lambda frame: np.exp(-1.678 * np.hypot(frame.x, frame.y)))
        images.append(one.draw(smooth, pose(30.0, 0.2), SIZE, FLUX).numpy())
    peak = images[1].max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(images[0] / peak, images[1] / peak, atol=0.02)


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


@pytest.mark.parametrize("elongation", [0.0, 0.3, 0.6])
def test_size_as_observed_is_as_asked(drawing, shape, elongation):
    # Where the stamp cuts nothing off.
    roomy = make_drawing(200)
    images = roomy.draw(shape, pose(70.0, elongation), SIZE, FLUX).numpy().astype(float)
    for image, size in zip(images, SIZE, strict=True):
        observed = galsim.Convolve(
            galsim.InterpolatedImage(galsim.Image(image, scale=1.0)), PSF).drawImage(
                nx=200, ny=200, scale=1.0, method="no_pixel", dtype=float).array
        assert measured_radius(observed) == pytest.approx(float(size), rel=0.015)


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


@pytest.mark.parametrize("elongation", [0.2, 0.5])
def test_a_round_shape_comes_out_as_elongated_as_asked(drawing, elongation):
    shape = on(drawing, lambda frame: np.exp(-0.5 * (frame.x**2 + frame.y**2)))
    images = drawing.draw(shape, pose(30.0, elongation), SIZE, FLUX).numpy().astype(float)
    for image in images[2:]:
        seen = galsim.Image(image, scale=1.0).FindAdaptiveMom().observed_shape
        assert seen.g == pytest.approx(elongation, rel=0.04)
        assert seen.beta / galsim.degrees == pytest.approx(30.0, abs=1.0)


@pytest.mark.parametrize("elongation", [0.3, 0.65])
def test_knots_count_wherever_they_are_and_however_the_galaxy_lies(drawing, elongation):
    """What is squeezed is averaged, not sampled: a knot narrower than a cell keeps its flux."""
    disc = on(drawing, lambda frame: np.exp(-0.5 * (frame.x**2 + frame.y**2)))
    wide, close = (one.numpy() for one in disc)
    for row, image in enumerate(close):
        image[50 + row, 34] += 0.1
    size, flux = tf.fill([COUNT], 8.0), tf.ones([COUNT])
    for degrees in (0, 20, 45, 90):
        images, plain = (drawing.draw(one, pose(degrees, elongation), size, flux).numpy()
                         for one in ([wide, close], disc))
        # The disc is dimmed, moved and enlarged a little as well, so not all of it is the knot.
        added = np.abs(images - plain).sum(axis=(1, 2))
        np.testing.assert_allclose(added, added.mean(), rtol=0.1)


def test_rounder_than_round_is_longer_the_other_way(drawing):
    """And nothing is cut where a frame would have to be made wider than it is."""
    disc = on(drawing, lambda frame: np.exp(-1.678 * np.hypot(frame.x, frame.y)))
    one, other = (drawing.draw(disc, pose(degrees, elongation), SIZE, FLUX).numpy()
                  for degrees, elongation in ((20.0, -0.3), (110.0, 0.3)))
    peak = one.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(one / peak, other / peak, atol=1e-3)


@pytest.mark.parametrize("parity", [1.0, -1.0])
def test_lopsided_shapes_made_longer_the_other_way(drawing, parity):
    """A shape with a knot, once drawn across, once made longer along y by hand before."""
    elongation = -0.15
    stretch = np.sqrt((1 - elongation) / (1 + elongation))

    def light(x, y):
        return np.exp(-0.5 * (x**2 + y**2)) + np.exp(
            -0.5 * ((x - 0.5) ** 2 + (y - 0.9) ** 2) / 0.1)

    across = on(drawing, lambda frame: light(frame.x, frame.y))
    by_hand = on(drawing, lambda frame: light(frame.x * stretch, frame.y / stretch))
    angle = np.full(COUNT, 0.4, np.float32)
    one, other = (
        drawing.draw(shape, Pose(Orientation(
            tf.cos(angle), tf.sin(angle), parity=tf.fill([COUNT], parity),
            elongation=tf.fill([COUNT], g))), SIZE, FLUX).numpy()
        for shape, g in ((across, elongation), (by_hand, 0.0)))
    peak = other.max(axis=(1, 2), keepdims=True)
    assert np.all(np.abs(one - other).max(axis=(1, 2), keepdims=True) < 0.05 * peak)


def test_gradients(drawing, shape):
    shape = [tf.Variable(one) for one in shape]
    elongation, angle = tf.Variable(tf.fill([COUNT], 0.3)), tf.fill([COUNT], 0.3)
    with tf.GradientTape() as tape:
        image = drawing.draw(shape, Pose(Orientation(
            tf.cos(angle), tf.sin(angle), elongation=elongation)), SIZE, FLUX)
        value = tf.reduce_sum(image**2)
    for gradient in tape.gradient(value, [*shape, elongation]):
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
