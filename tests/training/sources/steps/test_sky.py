"""steps.sky: known offsets and known noise come back."""

import galsim
import numpy as np
import pytest
from scipy import ndimage
from steps import sky
from steps.ellipse import ellipse_of

from galsim_deep.observations.noise import NoiseField


def stamp(radius, offset, seed, side=100, peak=40.0):
    """An exponential disc on a sky, with noise of 1."""
    disc = galsim.Exponential(half_light_radius=radius).shear(q=0.7, beta=0.4 * galsim.radians)
    image = disc.drawImage(nx=side, ny=side, scale=1.0, dtype=float).array
    image *= peak / image.max()
    return image + offset + np.random.default_rng(seed).normal(size=image.shape)


def measured(image):
    pieces, _ = ndimage.label(ndimage.gaussian_filter(image, 1.0) > 2.0)
    segment, usable = pieces == pieces[50, 50], np.ones(image.shape, bool)
    return sky.sky_of(image, usable, segment, ellipse_of(image, segment))


@pytest.mark.parametrize("radius, how, error", [(6.0, "pixels", 0.06), (24.0, "disc", 0.3)])
def test_a_known_offset_comes_back(radius, how, error):
    """With noise of 1 a pixel; a galaxy with a radius of 24 fills its stamp of 100 pixels."""
    results = [measured(stamp(radius, offset=0.4, seed=seed)) for seed in range(12)]
    assert {result[1] for result in results} == {how}
    offsets = np.array([result[0] for result in results])
    assert offsets.mean() == pytest.approx(0.4, abs=error / 2)
    assert offsets.std() < error


def test_where_the_galaxy_fills_the_stamp_the_outer_pixels_are_too_bright():
    """What makes the fit of the disc necessary."""
    image = stamp(24.0, offset=0.0, seed=1)
    border = np.concatenate([image[:4].ravel(), image[-4:].ravel()])
    assert border.mean() > 3 * abs(measured(image)[0])


def test_sky_pixels_avoid_the_galaxy_and_other_objects():
    image = stamp(6.0, offset=0.0, seed=1)
    segment = image > 4.0
    usable = np.ones(image.shape, bool)
    usable[:20] = False
    ellipse = ellipse_of(image, segment)
    pixels = sky.sky_pixels(usable, segment, ellipse)
    assert not pixels[:20].any() and not (pixels & segment).any()
    radius = ellipse.radius(image.shape)[pixels]
    assert radius.min() > sky.BEYOND * sky.segment_radius(segment, ellipse)


def test_noise_and_its_correlation():
    correlation = np.zeros((7, 7))
    correlation[3, 3] = 1.0
    correlation[3, 2] = correlation[3, 4] = 0.4
    field = NoiseField(correlation, 300, dtype=np.float64)
    sums = []
    for seed in range(4):
        image = 2.0 * field.draw(np.random.default_rng(seed))
        pixels = np.random.default_rng(seed).uniform(size=image.shape) < 0.8
        assert sky.noise_of(image, pixels) == pytest.approx(2.0, rel=0.02)
        sums.append(sky.covariance_sums(image / 2.0, pixels))
    result = sky.correlation_of(*np.sum(sums, 0))
    np.testing.assert_allclose(result, correlation, atol=0.015)
    assert result[3, 3] == 1.0
    np.testing.assert_array_equal(result, result[::-1, ::-1])


def test_a_correlation_may_end_at_neighbours():
    sums = np.ones((7, 7))
    result = sky.correlation_of(sums, np.ones((7, 7)), reach=1)
    assert result.sum() == 9 and result[3, 5] == 0


def test_wide_structure_of_the_sky_is_no_noise():
    rng = np.random.default_rng(3)
    y, x = np.indices((200, 200))
    image = rng.normal(size=(200, 200)) + np.sin(x / 30) + np.cos(y / 40)
    result = sky.correlation_of(*sky.covariance_sums(image, np.ones((200, 200), bool)))
    assert np.abs(result[3, 4:]).max() < 0.04


def test_noise_in_a_segment():
    image = galsim.Gaussian(sigma=25.0, flux=1e5).drawImage(
        nx=120, ny=120, scale=1.0, dtype=float).array
    image += np.random.default_rng(1).normal(0.0, 0.3, image.shape)
    segment = np.hypot(*(np.indices(image.shape) - 60)) < 50
    assert sky.noise_in_segment(np.where(segment, image, 0.0), segment) == pytest.approx(
        0.3, rel=0.1)
