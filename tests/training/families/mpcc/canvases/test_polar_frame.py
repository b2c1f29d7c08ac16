"""Galaxies on a polar grid."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.measure.half_light import measured_radius

ANGLES = tf.constant([[1.0, 0.2, 1.0], [0.3, -1.0, -1.0], [-1.0, 0.1, 1.0]])


@pytest.fixture(scope="module")
def canvas(make_canvas):
    return make_canvas("polar_frame")


@pytest.fixture(scope="module")
def small(columns):
    """Columns of galaxies whose light fits the stamps, and the size of their pixels."""
    return dict(columns, flux_radius=tf.constant([2.0, 3.0, 4.0]), pixel_scale=tf.ones([3]))


def test_flux_and_half_light_radius_on_stamps_of_any_size(canvas, random_outputs, small):
    outputs, scalars = random_outputs(canvas), tf.zeros([3, canvas.scalars])
    flux = 10 ** (-0.4 * (small["mag_auto"].numpy() - 25.0))
    radii = small["flux_radius"].numpy()
    for size in (64, 96):
        images = canvas.render_on(size, outputs, scalars, ANGLES, small).numpy()
        assert images.shape == (3, size, size)
        np.testing.assert_allclose(images.sum(axis=(1, 2)), flux, rtol=1e-5)
        np.testing.assert_allclose(
            [measured_radius(image) for image in images.astype(float)], radii, rtol=0.04)
        assert not images[:, 0].any() and not images[:, :, -1].any()


def test_pixels_of_another_size(canvas, random_outputs, small):
    """The same galaxy on pixels twice as large has half the radius in pixels."""
    outputs, scalars = random_outputs(canvas), tf.zeros([3, canvas.scalars])
    images = canvas.render_on(
        48, outputs, scalars, ANGLES, dict(small, pixel_scale=tf.fill([3], 2.0))).numpy()
    np.testing.assert_allclose([measured_radius(image) for image in images.astype(float)],
                               small["flux_radius"].numpy() / 2, rtol=0.1)


def test_the_extent_grows_with_the_galaxy(canvas, small):
    extent = canvas.extent(tf.zeros([3, canvas.scalars]), ANGLES, small).numpy()
    assert np.all(extent > 2 * small["flux_radius"].numpy())
    assert np.all(np.diff(extent) > 0)


def test_structure_is_seen_where_it_was_rendered(canvas, columns, psfs):
    """A knot at some radius and angle in the frame of the galaxy is seen there."""
    rows = canvas.settings.rows
    outputs = np.zeros((3, rows, 2 * rows), np.float32)
    outputs[:, 10:12, 3:6] = 3.0
    same = {name: tf.fill([3], float(value[2])) for name, value in columns.items()}
    scalars = np.zeros((3, canvas.scalars), np.float32)
    scalars[:, 0] = 0.5  # elongated, so that the orientation can be measured
    stamps = canvas.render([tf.constant(outputs)], tf.constant(scalars), ANGLES, same)
    views, _ = canvas.view(stamps, psfs, tf.fill([3], 1e-3), same)
    contrast = views[0].numpy()[..., 2]
    for image in contrast[1:]:
        assert np.corrcoef(image[4:].ravel(), contrast[0][4:].ravel())[0, 1] > 0.7
    brightest = contrast[0][8:14].sum(axis=0)
    assert brightest[:9].max() > 3 * np.abs(brightest[12:-3]).max()


def test_the_amplitude_of_the_structure(canvas, random_outputs, small):
    """It makes a galaxy smooth, or its structure stronger; zero leaves it as it is."""
    outputs, scalars = random_outputs(canvas), np.zeros((3, canvas.scalars), np.float32)

    def image(factor, amplitude):
        scalars[:, 2] = amplitude
        return canvas.render_on(
            64, [factor * outputs[0]], tf.constant(scalars), ANGLES, small).numpy()

    np.testing.assert_allclose(image(1, -20), image(0, 0), atol=1e-4 * image(0, 0).max())
    np.testing.assert_allclose(image(1, 20), image(3, 0), atol=1e-4 * image(3, 0).max())
    assert np.ptp(image(1, 0) - image(0, 0)) > 0.02 * image(0, 0).max()


def test_the_centre_is_smooth(canvas, columns):
    """Structure towards the centre has no effect, least of all in small galaxies."""
    rows = canvas.settings.rows
    scalars = tf.zeros([3, canvas.scalars])

    def change(radius, row):
        outputs = np.zeros((3, rows, 2 * rows), np.float32)
        outputs[:, row:row + 2, :rows] = 2.0
        given = dict(columns, flux_radius=tf.fill([3], radius), pixel_scale=tf.ones([3]))
        images = [canvas.render_on(64, [tf.constant(factor * outputs)], scalars, ANGLES, given)
                  for factor in (0.0, 1.0)]
        return float(tf.reduce_sum(tf.abs(images[1] - images[0])) / tf.reduce_sum(images[0]))

    outer = rows // 2
    # Without the fading, 0.009 and 1.
    assert change(8.0, 0) < 0.003 * change(8.0, outer)
    assert change(2.0, outer) < 0.7 * change(8.0, outer)


def test_how_far_structure_fades(canvas, columns):
    """Within a fifth of the half-light radius; of small galaxies within 1.5 pixels."""
    radius = np.exp(canvas.renderer.grid.log_radius)
    for pixels, width in ((1000.0, 0.2), (3.0, np.hypot(0.2, 0.5))):
        given = dict(columns, flux_radius=tf.fill([3], pixels), pixel_scale=tf.ones([3]))
        np.testing.assert_allclose(canvas._visible(given)[0, :, 0],
                                   1 - np.exp(-0.5 * (radius / width)**2), atol=1e-3)


@pytest.mark.parametrize("grid", [dict(cells=4096, subcells=64), dict(cells=6, subcells=4),
                                  dict(cells=2, subcells=1)])
def test_grids_that_are_not_possible(grid, make_canvas):
    with pytest.raises(galsim.GalSimConfigError, match="model.canvas"):
        make_canvas("polar_frame", **grid)


@pytest.mark.parametrize("grid", [dict(cells=5, subcells=2), dict(cells=12, subcells=4)])
def test_other_grids(grid, make_canvas, rendered):
    assert np.isfinite(rendered(make_canvas("polar_frame", **grid)).numpy()).all()
