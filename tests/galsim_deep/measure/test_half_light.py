"""Half-light radii with known values."""

import galsim
import numpy as np
import pytest

from galsim_deep.measure.half_light import measured_radius


@pytest.mark.parametrize("radius", [1.2, 1.5, 3.0, 3.9, 4.1, 10.0])
@pytest.mark.parametrize("shift", [(0, 0), (0.4, -0.3)])
def test_measured_radius_of_a_gaussian(radius, shift):
    stamp = galsim.Gaussian(half_light_radius=radius).shift(shift).drawImage(
        nx=128, ny=128, scale=1.0, method="no_pixel").array
    assert measured_radius(stamp) == pytest.approx(radius, rel=0.01)


def test_measured_radius_of_a_disc():
    """A uniform disc of radius R holds half of its light within R / sqrt(2)."""
    y, x = np.indices((128, 128)) - 63.5
    stamp = (np.hypot(x, y) < 20).astype(float)
    assert measured_radius(stamp) == pytest.approx(20 / np.sqrt(2), rel=0.01)


def test_measured_radius_ignores_flux_and_orientation():
    stamp = galsim.Exponential(half_light_radius=6).shear(g1=0.4).shift(2, 1).drawImage(
        nx=128, ny=128, scale=1.0, method="no_pixel").array
    radius = measured_radius(stamp)
    assert measured_radius(7e3 * stamp) == pytest.approx(radius, rel=1e-6)
    assert measured_radius(np.rot90(stamp)) == pytest.approx(radius, rel=1e-6)
