"""steps.light: what is measured on a galaxy."""

import galsim
import numpy as np
import pytest
from steps import light
from steps.ellipse import Ellipse

ELLIPSE = Ellipse(60.0, 60.0, 0.6, np.radians(25))
PSF = galsim.Gaussian(fwhm=3.0)


def galaxy(n=1.5, radius=8.0, flux=5000.0):
    profile = galsim.Sersic(n, half_light_radius=radius, flux=flux).shear(
        q=0.6, beta=25 * galsim.degrees)
    return galsim.Convolve(profile, PSF).drawImage(
        nx=121, ny=121, scale=1.0, method="no_pixel", dtype=float).array


def test_light_ends_where_the_profile_meets_its_error():
    image = galaxy(n=1.0)
    noise = np.random.default_rng(1).normal(0.0, 0.5, image.shape)
    usable = np.ones(image.shape, bool)
    deep = light.radius_of_light(image + 0.1 * noise, usable, ELLIPSE, 0.05, 1.0)
    shallow = light.radius_of_light(image + noise, usable, ELLIPSE, 0.5, 1.0)
    assert 20 < shallow < deep < 70


def test_unusable_pixels_are_filled_from_the_other_side():
    image = galaxy()
    usable = np.ones(image.shape, bool)
    usable[50:56, 66:74] = False
    damaged = np.where(usable, image, 500.0)
    result = light.filled(damaged, usable, ELLIPSE, radius=50.0)
    np.testing.assert_allclose(result[~usable], image[~usable], rtol=1e-5)
    assert result[0, 0] == 0
    # Where the other side cannot be used either, the elliptical profile takes its place.
    usable &= usable[::-1, ::-1]
    result = light.filled(np.where(usable, image, 500.0), usable, ELLIPSE, radius=50.0)
    np.testing.assert_allclose(result[~usable], image[~usable], rtol=0.1)


@pytest.mark.parametrize("n, radius", [(1.0, 4.0), (2.5, 8.0), (1.5, 16.0)])
def test_shape_before_the_psf(n, radius):
    """The largest one is fitted in blocks of pixels."""
    image = galaxy(n, radius)
    image += np.random.default_rng(1).normal(0.0, 0.02, image.shape)
    psf = PSF.drawImage(nx=41, ny=41, scale=0.5, method="no_pixel", dtype=float).array
    flux_radius = light.half_light(galaxy(n, radius))
    shape = light.shape_of(image, np.ones(image.shape, bool), ELLIPSE, flux_radius, 55,
                           psf / psf.sum(), 0.5, 0.02)
    assert shape.success
    assert (shape.x, shape.y) == pytest.approx((60.0, 60.0), abs=0.1)
    assert shape.radius == pytest.approx(radius, rel=0.03)
    assert shape.n == pytest.approx(n, rel=0.07)
    assert shape.q == pytest.approx(0.6, abs=0.02)
    assert shape.angle == pytest.approx(25.0, abs=2)


def test_pixels_that_are_not_used_do_not_matter():
    image = galaxy()
    usable = np.ones(image.shape, bool)
    usable[30:50, 70:100] = False
    psf = PSF.drawImage(nx=21, ny=21, scale=1.0, method="no_pixel", dtype=float).array
    shapes = [light.shape_of(np.where(usable, image, value), usable, ELLIPSE, 9.0, 50, psf, 1.0,
                             0.02) for value in (0.0, 1e4)]
    assert shapes[0] == shapes[1]
    assert shapes[0].radius == pytest.approx(8.0, rel=0.05)
