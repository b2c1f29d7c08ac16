"""Rendering on a polar grid: views, the relief, and galaxies that are drawn from both."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.measure.half_light import measured_radius
from galsim_deep_training.rendering.polar_renderer import (
    BORDER,
    ELLIPTICITY,
    ELLIPTICITY_APART,
    PolarRenderer,
    PolarShape,
)

COUNT = 3


@pytest.fixture(scope="module", params=[False, True], ids=["measured", "column"])
def renderer(request, make_recipe):
    """Without and with a column of the axis ratio."""
    def change(content):
        content["stamp"].update(size=96)
        if request.param:
            content["columns"].append(dict(
                name="axis_ratio", unit="", meaning="minor over major axis", quantity="axis_ratio",
                valid_range=[0.05, 1.0], may_be_absent=True))

    return PolarRenderer(16, make_recipe(change))


def columns(radius=5.0, axis_ratio=0.6):
    return dict(flux_radius=tf.fill([COUNT], radius), mag_auto=tf.fill([COUNT], 22.0),
                zphot=tf.fill([COUNT], 0.5), axis_ratio=tf.fill([COUNT], axis_ratio),
                pixel_scale=tf.fill([COUNT], 0.03))


def shape(renderer, seed=1, ellipticity=0.0):
    angle = np.random.default_rng(seed).standard_normal((COUNT, 3))
    return PolarShape(tf.constant(angle, tf.float32), tf.fill([COUNT], ellipticity),
                      tf.zeros([COUNT]), tf.zeros([COUNT, renderer.envelope_size]))


def structure(seed=3, rows=16):
    return tf.constant(
        np.random.default_rng(seed).normal(size=(COUNT, rows, 2 * rows)), tf.float32)


def test_the_relief_has_a_mean_of_one_in_each_ring(renderer):
    relief = renderer.relief(1.5 * structure(), tf.fill([COUNT], 40.0)).numpy()
    np.testing.assert_allclose(relief.mean(axis=2), 1.0, rtol=1e-5)
    assert np.all(relief > 0) and np.std(relief[:, 8]) > 0.1
    # There is none in the very centre and little far outside, where it could not be seen.
    np.testing.assert_allclose(relief[:, 0], 1.0, rtol=1e-6)
    assert np.std(relief[:, -1]) < 0.5 * np.std(relief[:, 8])
    # Nor where pixels are larger than the galaxy.
    relief = renderer.relief(1.5 * structure(), tf.fill([COUNT], 0.05)).numpy()
    np.testing.assert_allclose(relief, 1.0, atol=0.1)


@pytest.mark.parametrize("rows", [4, 16])
def test_flux_size_and_centre_are_those_of_the_columns(renderer, rows):
    values = columns(8.0)
    light = renderer.imposed(structure(rows=rows), shape(renderer), values)
    images = renderer.on_stamp(light, 128, values).numpy().astype(float)
    np.testing.assert_allclose(images.sum(axis=(1, 2)), 10 ** (-0.4 * (22.0 - 25.94)), rtol=1e-5)
    axis = np.arange(128) - 63.5
    for image in images:
        assert measured_radius(image) == pytest.approx(8.0, rel=0.04)
        assert abs((image * axis).sum()) < 0.3 * image.sum()
        assert np.all(image[0] == 0) and np.all(image[:, -1] == 0)


def test_the_ellipticity(renderer):
    """That of the column if there is one; one unit of the latent changes it a little."""
    found = [renderer.orientation(shape(renderer, ellipticity=latent), columns()).axis_ratio
             for latent in (0.0, 1.0)]
    ellipticities = np.array([(1 - q) / (1 + q) for q in found])[:, 0]
    zero, unit = (ELLIPTICITY if renderer.measures_ellipticity
                  else ((1 - 0.6) / (1 + 0.6), ELLIPTICITY_APART))
    np.testing.assert_allclose(ellipticities, [zero, zero + unit], rtol=1e-4)


def test_the_extent_holds_the_light(renderer):
    values = columns(6.0)
    extent = renderer.extent(shape(renderer), values).numpy()
    light = renderer.imposed(tf.zeros([COUNT, 16, 32]), shape(renderer), values)
    images = light.at_pixels(256).numpy().astype(float)
    axis = np.arange(256) - 127.5
    for half, image in zip(extent, images, strict=True):
        outside = np.maximum(np.abs(axis), np.abs(axis[:, None])) > half - BORDER
        assert 0 < image[outside].sum() < 0.004 * image.sum()


def test_a_turned_stamp_has_the_same_view(renderer):
    values, form = columns(8.0), shape(renderer, 5, ellipticity=1.0)
    stamps = renderer.imposed(1.5 * structure(7), form, values).at_pixels(96)
    psf = np.zeros((COUNT, 17, 17), np.float32)
    psf[:, 8, 8] = 1.0
    before, after = (renderer.view(pixels, tf.constant(psf), tf.fill([COUNT], 1e-3), values)
                     for pixels in (stamps, tf.image.rot90(stamps[..., None])[..., 0]))
    assert before.maps.shape == (COUNT, 16, 32, 3) and before.rings.shape == (COUNT, 32)
    assert before.scalars.shape == (COUNT, 3)
    np.testing.assert_allclose(before.maps, after.maps, atol=5e-3)
    np.testing.assert_allclose(before.winding, after.winding, atol=1e-3)
    # A map is the structure, but for direction and winding: it varies as much.
    contrast = before.maps.numpy()[:, 5:10, :, 2]
    assert np.all(contrast.std(axis=(1, 2)) > 0.3)
