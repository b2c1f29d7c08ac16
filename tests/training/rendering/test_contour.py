"""The flux above a contour."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.rendering.contour import Contour

SIZE = 48


@pytest.mark.parametrize("brightness, share", [
    (0.2, 0.1), (0.375, 0.5), (0.52, 1.0), (0.9, 1.0)])
def test_how_much_of_a_halo_is_left(brightness, share):
    """By its surface brightness through the beam, in units of the contour."""
    peak = galsim.Gaussian(fwhm=3.0).xValue(0, 0)
    light = np.full((1, SIZE, SIZE), brightness * peak, np.float32)
    light[:, 24, 24] += 100.0
    flux = light.sum(axis=(1, 2), keepdims=True)
    result = Contour(SIZE, 3.0, 1.0).with_flux_above(tf.constant(light), tf.constant(flux)).numpy()
    ratio = result[0, 12, 12] / result[0, 24, 24] * light[0, 24, 24] / light[0, 12, 12]
    assert ratio == pytest.approx(share, rel=0.02)


@pytest.mark.parametrize("flux", [4.0, 20.0, 300.0])
def test_flux_above_the_contour(flux):
    """Drawn by GalSim through the same beam."""
    light = np.zeros((1, SIZE, SIZE), np.float32)
    light[0, 20:28, 18:30] = 1.0 / 96
    result = Contour(SIZE, 3.0, 0.05).with_flux_above(
        tf.constant(light), tf.constant([[[flux]]])).numpy()
    image = galsim.InterpolatedImage(
        galsim.Image(result[0], scale=1.0), x_interpolant="delta", normalization="flux")
    beam = galsim.Gaussian(fwhm=3.0)
    seen = galsim.Convolve(image, beam).drawImage(nx=SIZE, ny=SIZE, scale=1.0, method="no_pixel")
    above = seen.array[seen.array > 0.05 * beam.xValue(0, 0)].sum()
    assert above == pytest.approx(flux, rel=0.01) and result.sum() >= 0.999 * flux
