"""steps.segments: the galaxy in the middle, and the others."""

import galsim
import numpy as np
import pytest
from steps.segments import find_segments, no_data, rough_sky


@pytest.fixture(scope="module")
def field():
    """A galaxy in the middle, a neighbour at (90, 40), a sky of 50 and noise of 1."""
    galaxy = galsim.Exponential(half_light_radius=6.0, flux=20000.0)
    neighbour = galsim.Gaussian(sigma=3.0, flux=3000.0).shift(30.0, -20.0)
    image = (galaxy + neighbour).drawImage(nx=121, ny=121, scale=1.0, dtype=float).array
    return image + 50.0 + np.random.default_rng(1).normal(size=image.shape)


def test_galaxy_and_neighbour(field):
    segment, others = find_segments(field, np.ones(field.shape, bool), contrast=1.0)
    assert segment[60, 60] and others[40, 90]
    assert not (segment & others).any()
    assert not segment[38:43, 88:93].any() and not others[55:66, 55:66].any()


def test_touching_objects_are_divided_by_contrast(field):
    near = field + galsim.Gaussian(sigma=2.0, flux=4000.0).shift(14.0, 0.0).drawImage(
        nx=121, ny=121, scale=1.0, dtype=float).array
    usable = np.ones(field.shape, bool)
    assert find_segments(near, usable, contrast=1.0)[0][60, 74]
    assert find_segments(near, usable, contrast=0.01)[1][60, 74]


def test_masked_pixels_are_in_no_segment(field):
    usable = np.ones(field.shape, bool)
    usable[35:46, 80:100] = False
    _, others = find_segments(field, usable, contrast=1.0)
    assert not others[40, 90]


def test_rough_sky(field):
    sky, sigma = rough_sky(field, np.ones(field.shape, bool))
    assert sky == pytest.approx(50.0, abs=0.2)
    assert sigma == pytest.approx(1.0, abs=0.1)


def test_areas_without_data():
    image = np.ones((20, 20))
    image[5, 5] = 0.0  # by rounding
    image[10:, 12:] = 0.0
    expected = np.zeros((20, 20), bool)
    expected[10:, 12:] = True
    np.testing.assert_array_equal(no_data(image), expected)
