"""Adaptive moments of images whose moments are known, and of images without a galaxy."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.moments import adaptive_moments


def drawn(profile, size=64):
    return profile.drawImage(nx=size, ny=size, scale=1.0, method="no_pixel", dtype=float).array


@pytest.mark.parametrize("sigma", [2.0, 6.0])
def test_moments_of_a_gaussian(sigma):
    shape = galsim.Shear(g1=0.2, g2=-0.1)
    moments = adaptive_moments(drawn(
        galsim.Gaussian(sigma=sigma, flux=3.0).shear(shape).shift(1.5, -0.5)))
    assert moments.moments_sigma == pytest.approx(sigma, rel=1e-3)
    assert moments.observed_shape.g1 == pytest.approx(0.2, abs=1e-3)
    assert moments.observed_shape.g2 == pytest.approx(-0.1, abs=1e-3)
    assert moments.moments_rho4 == pytest.approx(2.0, abs=1e-3)
    # Counted from the first pixel, whose centre is at zero.
    assert moments.moments_centroid.x == pytest.approx(31.5 + 1.5, abs=1e-3)
    assert moments.moments_centroid.y == pytest.approx(31.5 - 0.5, abs=1e-3)


def test_ignored_pixels():
    image = drawn(galsim.Gaussian(sigma=3.0))
    ignored = np.zeros(image.shape, bool)
    ignored[5:15, 5:15] = True
    neighbour = image + 5 * drawn(galsim.Gaussian(sigma=1.0).shift(-22, -22))
    expected = adaptive_moments(image)
    assert adaptive_moments(neighbour, (31.5, 31.5), ignored).moments_sigma == pytest.approx(
        expected.moments_sigma, rel=1e-3)


def test_the_iteration_starts_at_the_centroid():
    """Of two galaxies, that one is measured at which it starts."""
    image = drawn(galsim.Gaussian(sigma=2.0).shift(-16, 0)
                  + galsim.Gaussian(sigma=3.0).shift(16, 0))
    left, right = (adaptive_moments(image, (x, 31.5)) for x in (15.5, 47.5))
    assert left.moments_sigma == pytest.approx(2.0, rel=0.02)
    assert right.moments_sigma == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize("image", [
    np.zeros((32, 32)), np.full((32, 32), np.nan), np.ones((32, 32)),
    -drawn(galsim.Gaussian(sigma=3.0), 32)])
def test_images_without_a_galaxy(image):
    assert adaptive_moments(image) is None
