"""Shear bias on a ring: a round galaxy, noise that cancels, and bias that is known."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.shear_bias import ring_shapes, shear_bias
from galsim_deep.measure.surveys import EUCLID, RUBIN


def shapes(observe, galaxy, survey=RUBIN, seed=1, **kwargs):
    observation = observe(size=96, zero_point=25.94, **kwargs)
    return ring_shapes(observation.convolved(galaxy), observation, survey, seed)


@pytest.mark.parametrize("survey", [EUCLID, RUBIN])
def test_a_gaussian_galaxy_has_no_bias(observe, survey):
    """Re-Gaussianization is exact for Gaussians."""
    galaxy = galsim.Gaussian(half_light_radius=0.4, flux=3000.0)
    slope, square = shapes(observe, galaxy, survey)
    assert shear_bias(np.array([slope]), np.array([square])) == pytest.approx(0, abs=0.01)


def test_the_shape_of_the_galaxy_cancels(observe):
    """The slope falls with the squared ellipticity, and its sign and angle do not matter."""
    galaxy = galsim.Gaussian(half_light_radius=0.4, flux=3000.0)
    results = [shapes(observe, galaxy.shear(galsim.Shear(g=0.3, beta=angle * galsim.degrees)))
               for angle in (0, 45, 100)]
    slopes, squares = np.transpose(results)
    assert np.ptp(slopes) < 0.02 * slopes[0]
    assert shear_bias(slopes, squares) == pytest.approx(0, abs=0.02)


def test_noise_cancels(observe):
    """Slopes scatter much less than shapes do."""
    galaxy = galsim.Exponential(half_light_radius=0.4, flux=100.0).shear(g1=0.1)
    results = np.array([shapes(observe, galaxy, seed=seed) for seed in range(12)])
    assert results[:, 0].std() < 0.05


def test_a_psf_that_is_too_wide_is_not_measured(observe):
    galaxy = galsim.Gaussian(half_light_radius=0.4, flux=3000.0)
    assert np.isnan(shapes(observe, galaxy, EUCLID, psf_sigma=4.0)).all()


def test_weights():
    slopes, squares = np.array([0.9, 1.1]), np.zeros(2)
    np.testing.assert_allclose(
        shear_bias(slopes, squares, np.array([[1.0, 1], [2, 0], [0, 2]])), [0, -0.1, 0.1])
