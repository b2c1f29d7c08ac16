"""Which pixels are the galaxy: known discs, neighbours, places, and stamps without a galaxy."""

import numpy as np
import pytest
from scipy import special

from galsim_deep.measure.segmentation import THRESHOLD, segment


def gaussian(size, sigma, x0=0.0, y0=0.0, peak=1.0):
    y, x = np.indices((size, size)) - 0.5 * (size - 1)
    return peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))


def test_the_segment_of_a_gaussian_ends_at_the_threshold(observe):
    """A Gaussian smoothed with one is a Gaussian, cut where it falls to the threshold."""
    observation = observe(noise_sigma=0.1)
    region = segment(gaussian(96, 6), observation)
    variance = 6**2 + 1.8**2
    # The noise of a stamp smoothed with a Gaussian of sigma s is 1 / (2 sqrt(pi) s).
    level = THRESHOLD * 0.1 / (2 * np.sqrt(np.pi) * 1.8)
    radius = np.sqrt(2 * variance * np.log(6**2 / variance / level))
    assert region.galaxy.sum() == pytest.approx(np.pi * radius**2, rel=0.02)
    assert region.centroid == pytest.approx((47.5, 47.5), abs=1e-6)
    assert not (region.neighbours.any() or region.truncated or region.off_centre)


def test_correlated_noise_raises_the_threshold(observe):
    correlation = np.outer(special.binom(8, range(9)), special.binom(8, range(9))) / 70**2
    white = segment(gaussian(96, 6), observe(noise_sigma=0.1))
    correlated = segment(gaussian(96, 6), observe(noise_sigma=0.1, noise_correlation=correlation))
    assert correlated.galaxy.sum() < 0.8 * white.galaxy.sum()


def test_the_segment_does_not_depend_on_units(observe):
    stamp = gaussian(96, 6) + observe(noise_sigma=0.02).noise(np.random.default_rng(1))
    first = segment(stamp, observe(noise_sigma=0.02))
    second = segment(4096 * stamp, observe(noise_sigma=0.02 * 4096))
    np.testing.assert_array_equal(first.galaxy, second.galaxy)


def test_a_galaxy_that_fills_the_stamp_is_found_and_truncated(observe):
    region = segment(gaussian(96, 40), observe())
    assert region.galaxy.all()
    assert region.truncated and not region.off_centre


@pytest.mark.parametrize("turns", range(4))
def test_every_edge_truncates(observe, turns):
    """A bar from the middle to one edge, and one that ends some pixels before it."""
    bar = np.zeros((96, 96))
    bar[46:50, 48:] = 1.0
    region = segment(np.rot90(bar, turns), observe(noise_sigma=0.01))
    assert region.truncated and not region.off_centre
    bar[:, 82:] = 0
    assert not segment(np.rot90(bar, turns), observe(noise_sigma=0.01)).truncated


def test_a_brighter_neighbour_is_masked_and_not_chosen(observe):
    observation = observe(noise_sigma=0.01)
    stamp = gaussian(96, 3) + gaussian(96, 2, -38, 34, peak=20)
    region = segment(stamp, observation)
    assert region.galaxy[48, 48] and region.neighbours[81, 9]
    assert not (region.galaxy & region.neighbours).any()
    assert region.centroid == pytest.approx((47.5, 47.5), abs=0.05)
    assert not region.off_centre


def test_a_faint_bump_is_no_neighbour(observe):
    """Three times the noise of the smoothed stamp, less than asked for."""
    observation = observe(noise_sigma=0.1)
    sigma = 0.1 / (2 * np.sqrt(np.pi) * 1.8)
    stamp = gaussian(96, 3) + gaussian(96, 1.8, 34, 34, peak=2 * 3 * sigma)
    region = segment(stamp, observation)
    assert region.galaxy[48, 48]
    assert not region.neighbours.any()
    stamp += gaussian(96, 1.8, 34, 34, peak=2 * 3 * sigma)
    assert segment(stamp, observation).neighbours[81, 81]


def test_of_two_in_the_middle_the_brighter_one_is_the_galaxy(observe):
    stamp = gaussian(96, 2, -18, 0) + gaussian(96, 2, 18, 0, peak=1.5)
    region = segment(stamp, observe(noise_sigma=0.02))
    assert region.centroid == pytest.approx((65.5, 47.5), abs=0.05)
    assert region.neighbours[47, 29]


@pytest.mark.parametrize("offset, off_centre", [(23, False), (25, True)])
@pytest.mark.parametrize("axis", [0, 1])
def test_off_centre_means_outside_of_the_central_quarter(observe, offset, off_centre, axis):
    for sign in (-1, 1):
        place = [0.0, 0.0]
        place[axis] = sign * offset
        region = segment(gaussian(96, 4, *place), observe(noise_sigma=0.01))
        assert region.off_centre == off_centre
        assert region.centroid == pytest.approx((47.5 + place[0], 47.5 + place[1]), abs=0.05)


def test_a_galaxy_in_the_corner_is_none(observe):
    assert segment(gaussian(96, 3, 38, 38), observe(noise_sigma=0.01)) is None


def test_a_region_of_few_pixels_is_none(observe):
    """A PSF hardly wider than a pixel, at a height that a handful of pixels reach."""
    observation = observe(noise_sigma=0.1, psf_sigma=0.7)
    level = THRESHOLD * observation.smoothed_sigma(observation.psf)
    stamp = np.zeros((96, 96))
    stamp[48, 48] = 1.5 * level / observation.psf.max()
    assert segment(stamp, observation) is None


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_stamps_without_light_hold_none(observe, value):
    assert segment(np.full((96, 96), value), observe()) is None


@pytest.mark.parametrize("psf_sigma", [1.0, 1.8])
def test_noise_is_no_galaxy(observe, psf_sigma):
    observation = observe(noise_sigma=1.0, psf_sigma=psf_sigma)
    rng = np.random.default_rng(0)
    found = sum(segment(observation.noise(rng), observation) is not None for _ in range(20))
    assert found <= 1
