"""Shear response: closed forms, agreement of the two ways, stamps without a galaxy."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.moments import adaptive_moments
from galsim_deep.measure.shear import profile_response, shear_response, target_sigma
from galsim_deep.observations.observation import Observation

_SCALE = 0.03
_PSF = galsim.Gaussian(sigma=1.8 * _SCALE)


def observe(profile=None, psf=_PSF, noise_sigma=0.0, seed=0):
    image = psf.drawImage(nx=65, ny=65, scale=_SCALE, method="no_pixel", dtype=float).array
    observation = Observation(
        number=0, stamp=np.zeros((128, 128)), psf=image / image.sum(), pixel_scale=_SCALE,
        noise_sigma=noise_sigma, columns={})
    stamp = observation.noise(np.random.default_rng(seed))
    if profile is not None:
        stamp = stamp + galsim.Convolve(profile, psf).drawImage(
            nx=128, ny=128, scale=_SCALE, method="no_pixel", dtype=float).array
    return observation, stamp


@pytest.mark.parametrize("sigma", [2.0, 4.0, 9.0])
def test_round_gaussian(sigma):
    """Covariances add, so (a-b)/(a+b) = g sigma_gal^2 / (sigma_gal^2 + sigma_psf^2) + O(g^3)."""
    profile = galsim.Gaussian(sigma=sigma * _SCALE)
    observation, stamp = observe(profile)
    seen_through = target_sigma(observation)
    assert 1.8 < seen_through < 2 * 1.8
    expected = sigma**2 / (sigma**2 + seen_through**2)
    np.testing.assert_allclose(profile_response(profile, observation), expected, rtol=0.01)
    np.testing.assert_allclose(shear_response(observation, stamp), expected, rtol=0.01)


def test_elliptical_gaussian_far_larger_than_the_psf():
    """Shears add as g' = (g + gamma) / (1 + g* gamma): R11 = 1 - g^2, R22 = 1 + g^2 for g real."""
    profile = galsim.Gaussian(sigma=12 * _SCALE).shear(g1=0.4)
    response = profile_response(profile, observe(psf=galsim.Gaussian(sigma=1.0 * _SCALE))[0])
    assert response[0] == pytest.approx(1 - 0.4**2, abs=0.02)
    assert response[1] == pytest.approx(1 + 0.4**2, abs=0.03)


def knotty():
    """A galaxy with clumps, off centre and elliptical."""
    disc = galsim.Exponential(half_light_radius=0.2, flux=10).shear(g1=0.2, g2=-0.3)
    clumps = [galsim.Gaussian(sigma=0.03, flux=0.6).shift(x, y)
              for x, y in ((0.2, 0.1), (-0.15, 0.12), (0.05, -0.25))]
    return galsim.Add([disc, *clumps]).shift(0.01, -0.02)


@pytest.mark.parametrize("psf", [_PSF, galsim.Moffat(beta=3, fwhm=0.12).shear(g1=0.05, g2=0.05)])
def test_both_ways_agree(psf):
    observation, stamp = observe(knotty(), psf)
    np.testing.assert_allclose(
        shear_response(observation, stamp), profile_response(knotty(), observation), atol=0.003)


def test_turned_by_45_degrees_the_components_change_places():
    profile = galsim.Exponential(half_light_radius=0.25).shear(g1=0.35)
    one, other = (profile_response(p, observe()[0])
                  for p in (profile, profile.rotate(45 * galsim.degrees)))
    assert abs(one[0] - one[1]) > 0.05
    np.testing.assert_allclose(other, one[::-1], atol=0.002)


def test_noise_scatters_about_the_noiseless_response():
    observation, clean = observe(knotty())
    expected = shear_response(observation, clean).mean()
    noisy = [shear_response(*observe(knotty(), noise_sigma=0.003, seed=seed)).mean()
             for seed in range(20)]
    assert np.std(noisy) > 1e-4
    assert np.mean(noisy) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("stamp", [
    np.zeros((128, 128)), np.ones((128, 128)), -np.ones((128, 128)), np.full((128, 128), np.nan)])
def test_no_galaxy(stamp):
    observation = observe()[0]
    assert np.isnan(shear_response(observation, stamp)).all()
    assert adaptive_moments(stamp) is None


def test_pure_noise_does_not_raise():
    for seed in range(10):
        observation, stamp = observe(noise_sigma=1.0, seed=seed)
        assert shear_response(observation, stamp).shape == (2,)
