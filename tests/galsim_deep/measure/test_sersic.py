"""Images of Sersic profiles against GalSim's, and their derivatives against differences."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.sersic import Convolved, Sampled

SHAPE = (48, 48)
CENTRE = (0.7, -0.4)


@pytest.fixture(scope="module")
def psf():
    image = galsim.Moffat(beta=3.5, fwhm=3.5).drawImage(
        nx=33, ny=33, scale=1.0, method="no_pixel", dtype=float).array
    return image / image.sum()


def galsim_profile(radius, eta1, eta2, n):
    eta = np.hypot(eta1, eta2)
    shear = galsim.Shear(eta1=eta1, eta2=eta2) if eta else galsim.Shear()
    return galsim.Sersic(n, half_light_radius=radius).shear(shear).shift(*CENTRE)


@pytest.mark.parametrize("radius, eta1, eta2, n", [
    (4.0, 0.0, 0.0, 1.0), (4.0, 0.5, -0.3, 0.5), (3.0, -0.8, 0.4, 2.5), (5.0, 0.2, 0.2, 4.0)])
def test_convolved_profiles_are_those_of_galsim(psf, radius, eta1, eta2, n):
    image, = Convolved(SHAPE, psf).images(CENTRE, [(np.log(radius), eta1, eta2, n)])
    interpolated = galsim.InterpolatedImage(galsim.Image(psf, scale=1.0), flux=1.0)
    expected = galsim.Convolve(galsim_profile(radius, eta1, eta2, n), interpolated).drawImage(
        nx=48, ny=48, scale=1.0, method="no_pixel", dtype=float).array
    np.testing.assert_allclose(image, expected, atol=2e-3 * expected.max())


@pytest.mark.parametrize("radius, eta1, eta2, n", [(4.0, 0.5, -0.3, 1.0), (6.0, -0.8, 0.4, 0.6)])
def test_sampled_profiles_are_those_of_galsim(radius, eta1, eta2, n):
    image, = Sampled(SHAPE).images(CENTRE, [(np.log(radius), eta1, eta2, n)])
    profile = galsim_profile(radius, eta1, eta2, n)
    y, x = np.indices(SHAPE) - 23.5
    for row, column in [(24, 24), (10, 30), (40, 5)]:
        expected = profile.xValue(x[row, column], y[row, column])
        assert image[row, column] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("kind", ["convolved", "sampled"])
def test_derivatives_are_those_of_differences(psf, kind):
    model = Sampled(SHAPE) if kind == "sampled" else Convolved(SHAPE, psf)
    theta = np.array([*CENTRE, np.log(4.0), 0.4, -0.2, np.log(1.3)])

    def image(theta):
        return model.images(theta[:2], [(*theta[2:5], np.exp(theta[5]))])[0]

    flux = 2.0
    unit, derivatives = model.jacobian(
        theta[:2], [(*theta[2:5], np.exp(theta[5]))], [flux], [None])
    np.testing.assert_allclose(unit[0], image(theta), atol=1e-6 * unit.max())
    for number, derivative in enumerate(derivatives):
        step = np.zeros(6)
        step[number] = 1e-4
        expected = flux * (image(theta + step) - image(theta - step)) / 2e-4
        np.testing.assert_allclose(derivative, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(8, 8), (9, 8), (9,)])
def test_a_psf_that_is_not_odd(shape):
    with pytest.raises(galsim.GalSimValueError):
        Convolved(SHAPE, np.ones(shape))
