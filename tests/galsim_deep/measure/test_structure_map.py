"""Maps of structure: what they do not depend on, and pairs that are alike."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.parametric import fit_sersic
from galsim_deep.measure.structure_map import largest_correlations, structure_map


def spiral(seed=1):
    """A disc with knots at random places."""
    rng = np.random.default_rng(seed)
    knots = [galsim.Gaussian(sigma=0.08, flux=rng.uniform(0.02, 0.06)).shift(
        *rng.uniform(-0.45, 0.45, 2)) for _ in range(8)]
    return galsim.Add([galsim.Exponential(half_light_radius=0.35), *knots])


def map_of(observe, profile, **kwargs):
    observation = observe(size=128, **kwargs)
    stamp = observation.convolved(profile)
    fit = fit_sersic(stamp, observation.pixel_scale, observation.psf)
    return structure_map(stamp, fit, observation)


def correlation(*maps):
    return largest_correlations(np.stack([each.values for each in maps]))[0, 1]


@pytest.mark.parametrize("change", [
    lambda galaxy: galaxy.rotate(70 * galsim.degrees),
    lambda galaxy: galaxy.transform(1, 0, 0, -1),
    lambda galaxy: galaxy.dilate(1.3),
    lambda galaxy: 5 * galaxy,
    lambda galaxy: galaxy.shear(g1=0.2),
])
def test_the_same_structure(observe, change):
    here, there = (map_of(observe, profile) for profile in (spiral(), change(spiral())))
    assert correlation(here, there) > 0.85
    assert np.sqrt((here.values**2).sum()) == pytest.approx(1)


def test_other_structure(observe):
    assert correlation(*(map_of(observe, spiral(seed)) for seed in (1, 2))) < 0.8


def test_noise(observe):
    quiet, noisy = (map_of(observe, spiral(), noise_sigma=sigma) for sigma in (1e-5, 1e-3))
    assert noisy.noise_share == pytest.approx(100 * quiet.noise_share, rel=0.01)


def test_a_galaxy_that_is_too_small(observe):
    assert map_of(observe, galsim.Exponential(half_light_radius=0.05)) is None
