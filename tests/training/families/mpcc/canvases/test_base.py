"""What every canvas promises."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.canvases import Canvas

KINDS = ("galaxy_frame", "plain", "polar_frame", "sky")
SIZE = 48


@pytest.fixture(params=KINDS)
def canvas(request, make_canvas):
    return make_canvas(request.param)


def test_all_kinds_are_tested():
    assert set(Canvas.kinds()) == set(KINDS)


def test_render(canvas, rendered):
    images = rendered(canvas).numpy()
    assert images.shape == (3, SIZE, SIZE) and images.dtype == np.float32
    assert np.isfinite(images).all() and (images >= 0).all()


def test_view(canvas, rendered, psfs, columns):
    views, latents = canvas.view(rendered(canvas), psfs, tf.fill([3], 0.01), columns)
    assert latents.shape == (3, canvas.position_angle_size)
    for view, (cells, subcells) in zip(views, canvas.view_grids, strict=True):
        columns_of_cells = 2 * cells if canvas.wraps else cells
        assert view.shape[:3] == (3, cells * subcells, columns_of_cells * subcells)
        assert np.isfinite(view.numpy()).all() and np.abs(view.numpy()).max() < 30


def test_gradients_reach_the_outputs_of_the_generator(canvas, random_outputs, psfs, columns):
    outputs = random_outputs(canvas)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        image = canvas.render(outputs, tf.zeros([3, canvas.scalars]),
                              tf.ones([3, canvas.position_angle_size]), columns)
        views, _ = canvas.view(image, psfs, tf.fill([3], 0.01), columns)
        loss = tf.add_n([tf.reduce_sum(view[..., :2] ** 2) for view in views])
    for gradient in tape.gradient(loss, outputs):
        assert np.isfinite(gradient.numpy()).all() and np.abs(gradient.numpy()).max() > 0


@pytest.mark.parametrize("kind, column, flux", [
    ("sky", "flux_density", lambda value: value),
    ("galaxy_frame", "mag_auto", lambda value: 10 ** (-0.4 * (value - 25.0)))])
def test_the_flux_is_that_of_the_column(kind, column, flux, make_canvas, rendered, columns):
    images = rendered(make_canvas(kind)).numpy()
    np.testing.assert_allclose(
        images.sum(axis=(1, 2)), flux(columns[column].numpy()), rtol=1e-4)
    for edge in (images[:, 0], images[:, :, -1]):
        np.testing.assert_array_equal(edge, 0.0)


@pytest.mark.parametrize("kind", ["sky", "galaxy_frame"])
def test_the_orientation_is_measured_and_undone(kind, make_canvas, psfs, columns):
    """Views of a source do not depend on its position angle, which is measured."""
    canvas = make_canvas(kind)
    light = np.zeros((3, SIZE, SIZE), np.float32)
    source = galsim.Gaussian(sigma=3.0).shear(g1=0.5)
    # A companion at one end, to one side: the source has a direction and a parity.
    source += 0.5 * galsim.Gaussian(sigma=1.5).shift(6.0, 2.0)
    angles = [0.0, 40.0, 250.0]
    for row, angle in enumerate(angles):
        light[row] = source.rotate(angle * galsim.degrees).drawImage(
            nx=SIZE, ny=SIZE, scale=1.0, dtype=float).array
    light *= 900.0
    same = {name: value[1] * tf.ones([3]) for name, value in columns.items()}
    views, latents = canvas.view(light, psfs, tf.fill([3], 0.01), same)
    view = views[0].numpy()[..., 0]
    for row in (1, 2):
        assert np.corrcoef(view[0].ravel(), view[row].ravel())[0, 1] > 0.99
    angle = np.degrees(np.arctan2(latents[:, 1], latents[:, 0]))
    np.testing.assert_allclose((angle - angle[0] - angles + 180) % 360 - 180, 0.0, atol=4.0)
    _, mirrored = canvas.view(light[:, ::-1], psfs, tf.fill([3], 0.01), same)
    np.testing.assert_array_equal(mirrored[:, 2], -latents[:, 2])
