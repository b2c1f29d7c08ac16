"""steps.distance: where a nearby galaxy is moved to."""

import numpy as np
import pytest
from astropy.cosmology import Planck18
from steps.distance import FARTHEST, dimming, moved_redshift


@pytest.mark.parametrize("redshift", [0.002, 0.01, 0.022])
def test_a_pixel_spans_the_same_size(redshift):
    moved = moved_redshift(redshift, 0.396)
    before, after = Planck18.kpc_proper_per_arcmin([redshift, moved]).value
    assert 0.03 * after == pytest.approx(0.396 * before, rel=1e-3)


def test_no_galaxy_is_moved_beyond_the_largest_angular_distance():
    assert moved_redshift(0.08, 0.396) == pytest.approx(FARTHEST)


def test_dimming():
    assert dimming(0.03, 0.03) == 0
    # Close by, the distance is proportional to the redshift.
    assert dimming(0.001, 0.002) == pytest.approx(5 * np.log10(2), abs=0.01)
    # The surface brightness falls as (1 + z)^4.
    z = moved_redshift(0.022, 0.396)
    assert dimming(0.022, z) == pytest.approx(
        5 * np.log10(0.396 / 0.03) + 10 * np.log10((1 + z) / 1.022), abs=0.01)
