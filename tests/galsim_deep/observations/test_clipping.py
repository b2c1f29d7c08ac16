"""What is kept of an image that is clipped."""

import numpy as np
import pytest

from galsim_deep.observations.clipping import REACH, clipped


def test_light_hangs_together_with_something_significant():
    stamp = np.zeros((30, 30), np.float32)
    stamp[3, 3:6] = 3.5, 5.5, 3.1       # a source
    stamp[4, 6] = 3.2                   # of it, by a corner
    stamp[3, 8] = 4.0                   # not of it
    stamp[10:13, 10:13] = 4.9           # large, but faint
    stamp[20, 20] = 9.0
    stamp[20, 21] = 2.9                 # below the threshold
    expected = np.zeros_like(stamp)
    expected[3, 3:6], expected[4, 6], expected[20, 20] = stamp[3, 3:6], 3.2, 9.0
    found = clipped(stamp, 1.0, 3.0, 5.0)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


def test_light_is_followed_so_far():
    stamp = np.full((1, 30), 4.0)
    stamp[0, 2] = 6.0
    np.testing.assert_array_equal(np.flatnonzero(clipped(stamp, 1.0, 3.0, 5.0)),
                                  np.arange(2 + REACH + 1))


@pytest.mark.parametrize("sigma", [1.0, 0.1])
def test_levels_are_in_units_of_the_noise(sigma):
    stamp = np.random.default_rng(1).normal(0, sigma, (60, 60))
    stamp[30, 30] = 20 * sigma
    found = clipped(stamp, sigma, 3.0, 5.0)
    assert found[30, 30] == stamp[30, 30] and 0 < np.count_nonzero(found) < 4
