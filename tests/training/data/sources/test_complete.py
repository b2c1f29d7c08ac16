"""Galaxies on sky are completed: their light, what neighbours cover, and the noise that is left."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.data.sources.complete import Smooth, completed

NOISE = 0.1
FIT = Smooth(x=39.5, y=40.5, half_light_radius=8.0, sersic_n=1.0, axis_ratio=0.6,
             position_angle=30.0)


def disc(size=80, x=39.5, y=40.5, flux=2000.0):
    """The galaxy of `FIT` without noise; its half-light radius is along the major axis."""
    galaxy = galsim.Exponential(half_light_radius=8.0 * np.sqrt(0.6), flux=flux).shear(
        q=0.6, beta=30 * galsim.degrees)
    middle = 0.5 * (size - 1)
    return galaxy.drawImage(nx=size, ny=size, scale=1.0, offset=(x - middle, y - middle),
                            method="no_pixel", dtype=float).array


def noisy(image, seed=1):
    return image + np.random.default_rng(seed).normal(0, NOISE, image.shape)


EVERYWHERE = np.ones((80, 80), bool)


@pytest.fixture(scope="module")
def whole():
    return completed(noisy(disc()), EVERYWHERE, NOISE, FIT)


def test_radii_of_ellipses():
    radius = Smooth(10.0, 5.0, 3.0, 1.0, 0.5, 90.0).radius((20, 30))
    assert radius.shape == (20, 30) and radius[5, 10] == 0
    assert radius[9, 10] == pytest.approx(4) and radius[5, 12] == pytest.approx(4)


@pytest.mark.parametrize("n", [0.7, 1.0, 2.5, 4.0])
def test_the_scale_length_is_that_of_the_sersic_profile(n):
    smooth = Smooth(0.0, 0.0, 3.0, n, 1.0, 0.0)
    profile = galsim.Sersic(n, half_light_radius=3.0)
    for radius in (3.0, 9.0):
        inner, outer = (profile.xValue(radius + step, 0) for step in (-0.01, 0.01))
        assert smooth.scale_length(radius) == pytest.approx(0.02 / np.log(inner / outer), rel=0.01)


def test_the_light_beyond_the_noise(whole):
    """An exponential disc is continued with its own slope."""
    assert whole.image.sum() == pytest.approx(2000, rel=0.01)
    assert whole.scale_length == pytest.approx(8.0 / 1.678, rel=0.15)
    size = len(whole.image)
    assert size % 2 == 0 and whole.image.shape == (size, size)
    # Whole pixels are moved, and this galaxy is centred between two of them.
    truth = disc(size, 0.5 * (size - 1), 0.5 * (size - 1))
    assert np.abs(whole.image - truth).max() < 5 * NOISE
    assert np.abs(whole.image - truth)[whole.noise == 0].max() < 0.3 * NOISE


def test_it_ends_within_its_image(whole):
    border = np.concatenate([whole.image[0], whole.image[-1], whole.image[:, 0],
                             whole.image[:, -1]])
    assert not border.any()
    assert whole.image[np.abs(whole.image) > 0].size < whole.image.size


def test_the_noise_that_is_left():
    """Realisations differ by as much as ``noise`` says, and nowhere beyond the galaxy."""
    images = [completed(noisy(disc(), seed), EVERYWHERE, NOISE, FIT) for seed in range(24)]
    side = min(len(one.image) for one in images)

    def middle(image):
        corner = (len(image) - side) // 2
        return image[corner:corner + side, corner:corner + side]

    spread = np.std([middle(one.image) for one in images], axis=0, ddof=1)
    share = np.mean([middle(one.noise) for one in images], axis=0)
    assert share.max() == pytest.approx(1, abs=1e-6) and share.min() == 0
    full = share > 0.99
    assert full.sum() > 50
    assert np.sqrt(np.mean(spread[full]**2)) == pytest.approx(NOISE, rel=0.1)
    partial = (share > 0.15) & (share < 0.5)
    assert partial.sum() > 50
    # Which pixels are smoothed depends on the noise itself.
    assert np.sqrt(np.mean(spread[partial]**2) / np.mean((NOISE * share[partial])**2)) < 1.5
    y, x = np.indices(share.shape) - 0.5 * (side - 1)
    assert spread[np.hypot(x, y) > 0.48 * side].max() < 0.1 * NOISE


def test_a_neighbour_is_filled_in_from_the_opposite_side(whole):
    usable = EVERYWHERE.copy()
    usable[45:60, 42:56] = False
    covered = np.where(usable, noisy(disc()), 50.0)
    filled = completed(covered, usable, NOISE, FIT)
    assert filled.image.max() < 1.01 * whole.image.max()
    assert filled.image.sum() == pytest.approx(whole.image.sum(), rel=0.01)


def test_both_sides_are_covered(whole):
    """The mean profile is used then."""
    usable = EVERYWHERE.copy()
    usable[50:58, 44:52] = usable[23:32, 27:36] = False
    filled = completed(np.where(usable, noisy(disc()), -50.0), usable, NOISE, FIT)
    assert filled.image.min() > -5 * NOISE
    assert filled.image.sum() == pytest.approx(whole.image.sum(), rel=0.02)


def test_a_galaxy_near_the_edge_of_its_stamp():
    """What lies beyond the stamp is its mean profile."""
    fit = Smooth(x=68.0, y=40.5, half_light_radius=8.0, sersic_n=1.0, axis_ratio=0.6,
                 position_angle=30.0)
    whole = completed(noisy(disc(x=68.0)), EVERYWHERE, NOISE, fit)
    assert disc(x=68.0).sum() < 0.97 * 2000
    assert whole.image.sum() == pytest.approx(2000, rel=0.02)


def test_flux_units_do_not_matter(whole):
    scaled = completed(1e-3 * noisy(disc()), EVERYWHERE, 1e-3 * NOISE, FIT)
    np.testing.assert_allclose(scaled.image, 1e-3 * whole.image, rtol=1e-6, atol=1e-12)


def test_correlated_noise_ends_the_profile_earlier(whole):
    other = completed(noisy(disc()), EVERYWHERE, NOISE, FIT, correlated_pixels=16.0)
    assert other.end < whole.end
    assert other.image.sum() == pytest.approx(2000, rel=0.03)
