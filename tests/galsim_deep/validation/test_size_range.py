"""Sizes and edges over all sizes: a module whose stamp is too small for large galaxies."""

import numpy as np
import pytest

from galsim_deep.observations.observation import Observation
from galsim_deep.validation.size_range import SIZES, edge_light, measure_sizes


@pytest.fixture(scope="module")
def cosmos():
    return Observation(number=0, stamp=np.zeros((2, 2)), psf=np.ones((1, 1)), pixel_scale=0.03,
                       noise_sigma=0.003, columns={}, zero_point=25.94)


def test_a_module_of_small_stamps(tiny, cosmos):
    """Half-light radii grow with what is asked, until the stamp of 0.96 arcsec ends."""
    results = measure_sizes(tiny._module, cosmos, seed=1)
    ratios = np.array([row["ratio"]["value"] for row in results["sizes"]])
    assert [row["asked"] for row in results["sizes"]] == list(SIZES)
    assert ratios[-1] < 0.1
    assert (np.diff(ratios[-4:]) < 0).all()
    # Large and bright galaxies reach the border, small ones do not.
    shares = [row["at_edge"] for row in results["sizes"]]
    assert shares[0] == 0 and shares[-1] > 0.5
    assert {row["in_range"] for row in results["sizes"]} == {True, False}


def test_pixels_of_other_sizes(cosmos):
    """The same surface brightness, on pixels with four times the area."""
    assert edge_light(4 * np.ones((8, 8)), 0.06, cosmos) == pytest.approx(
        edge_light(np.ones((8, 8)), 0.03, cosmos))


def test_the_edge_is_some_pixels_wide(cosmos):
    """Light that was made to vanish in the last pixel is at the edge all the same."""
    assert edge_light(np.pad(np.ones((14, 14)), 1), 0.03, cosmos) == pytest.approx(1 / 0.003)
    assert edge_light(np.pad(np.ones((8, 8)), 4), 0.03, cosmos) == 0
