"""Galaxies in the frame of the galaxy."""

import galsim
import pytest
import tensorflow as tf

from galsim_deep.measure.half_light import measured_radius


def test_the_observed_half_light_radius_is_that_of_the_column(
        make_canvas, random_outputs, gaussian, columns):
    """Also for elongated galaxies, and through the PSF of the data set."""
    canvas = make_canvas("galaxy_frame")
    outputs = [tf.zeros_like(output) for output in random_outputs(canvas)]
    images = canvas.render(outputs, tf.constant([[-1.0], [0.0], [1.0]]), tf.ones([3, 3]), columns)
    psf = galsim.InterpolatedImage(galsim.Image(gaussian(17, 1.5), scale=1.0), flux=1.0)
    for image, radius in zip(images.numpy(), columns["flux_radius"].numpy(), strict=True):
        galaxy = galsim.InterpolatedImage(galsim.Image(image.astype(float), scale=1.0))
        observed = galsim.Convolve(galaxy, psf).drawImage(
            nx=48, ny=48, scale=1.0, method="no_pixel", dtype=float).array
        assert measured_radius(observed) == pytest.approx(radius, rel=0.03)


def test_the_core_fits_into_the_grid(make_canvas):
    with pytest.raises(galsim.GalSimConfigError, match="model.canvas.core"):
        make_canvas("galaxy_frame", core_cells=26)
