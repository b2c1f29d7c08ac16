"""Galaxies as other surveys see them: against GalSim's own drawing, depth, and what is too wide."""

import dataclasses

import galsim
import numpy as np
import pytest

from galsim_deep.measure.surveys import EUCLID, RUBIN, observed_by


@pytest.mark.parametrize("survey", [EUCLID, RUBIN])
@pytest.mark.parametrize("shear", [None, galsim.Shear(g1=0.1, g2=-0.05)])
def test_against_the_direct_drawing(observe, survey, shear):
    observation = observe(size=128)
    galaxy = galsim.Exponential(half_light_radius=0.3, flux=7.0).shear(g1=0.2)
    stamp = observation.convolved(galaxy)
    seen = observed_by(survey, stamp, observation, shear)
    sheared = galaxy if shear is None else galaxy.shear(shear)
    direct = galsim.Convolve(sheared, galsim.Gaussian(sigma=survey.sigma)).drawImage(
        nx=seen.shape[1], ny=seen.shape[0], scale=survey.pixel_scale, method="no_pixel",
        dtype=float).array
    np.testing.assert_allclose(seen, direct, atol=0.003 * direct.max())


def test_depth():
    """A point source at the limit is found with five sigma by its matched filter."""
    for survey in (EUCLID, RUBIN):
        psf = survey.psf_image().array
        flux = 10 ** (-0.4 * (survey.depth - 25.94))
        signal = flux * np.sqrt((psf**2).sum()) / survey.noise_sigma(25.94)
        assert signal == pytest.approx(5, rel=0.03)
    # Smaller pixels of the same survey have less noise each.
    fine = dataclasses.replace(RUBIN, pixel_scale=0.1)
    assert fine.noise_sigma(25.94) == pytest.approx(0.5 * RUBIN.noise_sigma(25.94))


def test_a_psf_that_is_too_wide(observe):
    observation = observe(psf_sigma=3.0)  # 0.21 arcsec, wider than that of Euclid
    assert observed_by(EUCLID, observation.stamp, observation) is None
    assert observed_by(RUBIN, observation.stamp, observation) is not None
