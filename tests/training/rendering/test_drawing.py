"""Drawing: properties that every light profile has, whatever the network returns."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.measure.half_light import measured_radius
from galsim_deep_training.rendering.drawing import Drawing, Pose, edge_window
from galsim_deep_training.rendering.grid import GalaxyGrid
from galsim_deep_training.rendering.orientation import Orientation

PSF = galsim.Convolve(galsim.Moffat(beta=3.0, fwhm=2.9), galsim.Pixel(1.0))
COUNT = 6
RADIUS = tf.constant([3.5, 4.5, 6.0, 8.0, 11.0, 15.0])
FLUX = tf.constant([1.0, 0.5, 20.0, 300.0, 1.0, 7.0])


def make_drawing(stamp_size):
    drawing = Drawing([GalaxyGrid(stamp_size, cells=60, half_width=5.0),
                       GalaxyGrid(stamp_size, cells=80, half_width=2.0)], psf_radius=2.5)
    drawing.half_light.adapt(
        PSF.drawImage(nx=65, ny=65, scale=1.0, method="no_pixel", dtype=float).array)
    return drawing


@pytest.fixture(scope="module")
def drawing():
    return make_drawing(96)


@pytest.fixture(scope="module")
def knotty(drawing):
    """Irregular light, with knots at random places."""
    knots = np.random.default_rng(4).normal(size=(4, COUNT, 2, 1, 1))
    return drawing.to_light([tf.constant(sum(
        2 * np.exp(-0.5 * ((grid.x - x) ** 2 + (grid.y - y) ** 2) / 0.1)
        for x, y in knots.swapaxes(1, 2)), tf.float32) for grid in drawing.grids])


def sample_on_grids(drawing, brightness):
    """A function of x and y on the grids of a drawing, with unit flux, for all galaxies."""
    light = [brightness(grid.x, grid.y) * window for grid, window in zip(
        drawing.grids, drawing.windows, strict=True)]
    total = sum(part.sum() for part in light)
    return [tf.constant(np.repeat(part[None] / total, COUNT, axis=0), tf.float32) for part in light]


def exponential(x, y):
    return np.exp(-1.678 * np.hypot(x, y))


def gaussian(x, y):
    return np.exp(-0.5 * (x**2 + y**2))


def make_pose(degrees=0.0, ellipticity=0.0, parity=1.0, **kwargs):
    angle = np.full(COUNT, np.radians(degrees), np.float32)
    return Pose(Orientation(tf.cos(angle), tf.sin(angle), tf.fill([COUNT], parity),
                            tf.fill([COUNT], ellipticity)), **kwargs)


def centroids(images):
    y, x = np.indices(images.shape[1:]) - 0.5 * (images.shape[1] - 1)
    total = images.sum(axis=(1, 2))
    return (images * x).sum(axis=(1, 2)) / total, (images * y).sum(axis=(1, 2)) / total


def test_light_is_positive_and_has_unit_flux(drawing, knotty):
    total = sum(part.numpy().sum(axis=(1, 2)) for part in knotty)
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)
    for part, grid in zip(knotty, drawing.grids, strict=True):
        assert part.shape == (COUNT, grid.cells, grid.cells)
        assert np.all(part.numpy() >= 0)
        radius = np.hypot(grid.x, grid.y)
        np.testing.assert_array_equal(part.numpy()[:, radius >= grid.half_width], 0.0)


def test_outputs_of_zero_make_an_exponential_disc(drawing):
    light = drawing.to_light([tf.zeros((1, grid.cells, grid.cells)) for grid in drawing.grids])
    # Outside of these rings the light is shared between the two grids.
    for part, grid, inner, outer in zip(light, drawing.grids, (2, 0), (4, 1.3), strict=True):
        radius = np.hypot(grid.x, grid.y)
        ring = (radius > inner) & (radius < outer)
        slope = np.polyfit(radius[ring], np.log(part.numpy()[0][ring]), 1)[0]
        assert slope == pytest.approx(-1.678, rel=0.1)
    within = sum(part.numpy()[0][np.hypot(grid.x, grid.y) < 1].sum()
                 for part, grid in zip(light, drawing.grids, strict=True))
    assert within == pytest.approx(0.5, abs=0.03)


def test_transition_between_grids_is_invisible(drawing):
    """Drawn on two grids, a smooth galaxy is as on a single fine one."""
    single = Drawing([GalaxyGrid(96, cells=200, half_width=5.0)], psf_radius=2.5)
    single.half_light.table.assign(drawing.half_light.table)
    nested, expected = (
        each.draw(sample_on_grids(each, exponential), make_pose(30.0, 0.2), RADIUS, FLUX).numpy()
        for each in (drawing, single))
    peak = expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(nested / peak, expected / peak, atol=0.02)


def test_guarantees(drawing, knotty):
    images = drawing.draw(knotty, make_pose(25.0), RADIUS, FLUX).numpy()
    assert images.shape == (COUNT, 96, 96) and images.dtype == np.float32
    assert np.all(np.isfinite(images)) and np.all(images >= 0)
    for edge in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
        np.testing.assert_array_equal(edge, 0.0)
    np.testing.assert_allclose(images.sum(axis=(1, 2), dtype=float), FLUX, rtol=1e-5)


@pytest.mark.parametrize("degrees", [0, 40, 200])
def test_centroid_is_the_centre_of_the_stamp(drawing, knotty, degrees):
    images = drawing.draw(knotty, make_pose(degrees), RADIUS, FLUX).numpy()
    for centroid in centroids(images[:4]):
        np.testing.assert_allclose(centroid, 0.0, atol=0.06)


@pytest.mark.long
@pytest.mark.parametrize("ellipticity", [0.0, 0.3, 0.6])
def test_observed_radius_is_as_imposed(knotty, ellipticity):
    # On a stamp so large that nothing is cut off.
    drawing = make_drawing(200)
    images = drawing.draw(knotty, make_pose(70.0, ellipticity), RADIUS, FLUX).numpy()
    for image, radius in zip(images.astype(float), RADIUS, strict=True):
        observed = galsim.Convolve(
            galsim.InterpolatedImage(galsim.Image(image, scale=1.0)), PSF).drawImage(
                nx=200, ny=200, scale=1.0, method="no_pixel", dtype=float).array
        assert measured_radius(observed) == pytest.approx(float(radius), rel=0.015)


def test_position_angle_rotates_the_image(drawing, knotty):
    image = drawing.draw(knotty, make_pose(20.0), RADIUS, FLUX).numpy()
    rotated = drawing.draw(knotty, make_pose(110.0), RADIUS, FLUX).numpy()
    peak = image.max(axis=(1, 2), keepdims=True)
    # Rows increase with y: a quarter turn counter-clockwise on the sky.
    np.testing.assert_allclose(
        np.rot90(image, -1, axes=(1, 2)) / peak, rotated / peak, atol=2e-3)


def test_pose_moves_enlarges_and_brightens(drawing, knotty):
    shift = np.tile([[1.5, -0.8]], (COUNT, 1)).astype(np.float32)
    images, moved, larger, brighter = (
        drawing.draw(knotty, make_pose(**change), RADIUS, FLUX).numpy() for change in (
            {}, dict(shift=tf.constant(shift)), dict(ln_size=tf.fill([COUNT], 0.1)),
            dict(ln_flux=tf.fill([COUNT], 0.2))))
    x, y = centroids(moved[:4])
    np.testing.assert_allclose(x, 1.5, atol=0.08)
    np.testing.assert_allclose(y, -0.8, atol=0.08)
    ratio = measured_radius(larger[3]) / measured_radius(images[3])
    assert ratio == pytest.approx(np.exp(0.1), rel=0.02)
    np.testing.assert_allclose(brighter, np.exp(0.2) * images, rtol=1e-4)


@pytest.mark.parametrize("ellipticity", [0.2, 0.5])
def test_round_light_is_drawn_with_the_ellipticity(drawing, ellipticity):
    images = drawing.draw(sample_on_grids(drawing, gaussian), make_pose(30.0, ellipticity), RADIUS,
                          FLUX).numpy().astype(float)
    for image in images[2:]:
        shape = galsim.Image(image, scale=1.0).FindAdaptiveMom().observed_shape
        assert shape.g == pytest.approx(ellipticity, rel=0.04)
        assert shape.beta / galsim.degrees == pytest.approx(30.0, abs=1.0)


@pytest.mark.parametrize("ellipticity", [0.3, 0.65])
def test_knots_keep_their_flux_at_any_place_and_position_angle(drawing, ellipticity):
    """Squeezing averages and does not sample: a knot narrower than a cell keeps its flux."""
    disc = sample_on_grids(drawing, gaussian)
    widest, inner = (part.numpy() for part in disc)
    for row, image in enumerate(inner):
        image[50 + row, 34] += 0.1
    radius, flux = tf.fill([COUNT], 8.0), tf.ones([COUNT])
    for degrees in (0, 20, 45, 90):
        images, smooth = (
            drawing.draw(light, make_pose(degrees, ellipticity), radius, flux).numpy()
            for light in ([widest, inner], disc))
        # The disc is dimmed, moved and enlarged slightly too, so that not all of it is the knot.
        added = np.abs(images - smooth).sum(axis=(1, 2))
        np.testing.assert_allclose(added, added.mean(), rtol=0.1)


def test_negative_ellipticity_is_a_positive_one_at_right_angles(drawing):
    disc = sample_on_grids(drawing, exponential)
    negative, positive = (drawing.draw(disc, make_pose(*pose), RADIUS, FLUX).numpy()
                          for pose in ((20.0, -0.3), (110.0, 0.3)))
    peak = negative.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(negative / peak, positive / peak, atol=1e-3)


@pytest.mark.parametrize("parity", [1.0, -1.0])
def test_negative_ellipticity_stretches_lopsided_light_along_y(drawing, parity):
    ellipticity = -0.15
    stretch = np.sqrt((1 - ellipticity) / (1 + ellipticity))

    def brightness(x, y):
        return gaussian(x, y) + np.exp(-0.5 * ((x - 0.5) ** 2 + (y - 0.9) ** 2) / 0.1)

    drawn, expected = (
        drawing.draw(light, make_pose(np.degrees(0.4), g, parity), RADIUS, FLUX).numpy()
        for light, g in (
            (sample_on_grids(drawing, brightness), ellipticity),
            (sample_on_grids(drawing, lambda x, y: brightness(x * stretch, y / stretch)), 0.0)))
    peak = expected.max(axis=(1, 2), keepdims=True)
    assert np.all(np.abs(drawn - expected).max(axis=(1, 2), keepdims=True) < 0.05 * peak)


def test_gradients_reach_light_and_ellipticity(drawing, knotty):
    light = [tf.Variable(part) for part in knotty]
    ellipticity, angle = tf.Variable(tf.fill([COUNT], 0.3)), tf.fill([COUNT], 0.3)
    with tf.GradientTape() as tape:
        image = drawing.draw(light, Pose(Orientation(
            tf.cos(angle), tf.sin(angle), ellipticity=ellipticity)), RADIUS, FLUX)
        value = tf.reduce_sum(image**2)
    for gradient in tape.gradient(value, [*light, ellipticity]):
        assert np.all(np.isfinite(gradient)) and np.abs(gradient).max() > 0


@pytest.mark.parametrize("radius", [0.5, 2.5, 10.0])
def test_intrinsic_radius_is_positive_and_smaller_than_the_observed_one(drawing, radius):
    intrinsic = float(drawing.intrinsic_radius(tf.constant([radius]))[0])
    assert intrinsic > 0
    if radius > 2.5:
        assert intrinsic == pytest.approx(np.sqrt(radius**2 - 2.5**2))


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
