"""Views: what a network sees of a stamp does not depend on how the galaxy lies on the sky."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.rendering.grid import GalaxyGrid
from galsim_deep_training.rendering.views import view_in_galaxy_frame

STAMP, RADIUS = 64, 5.0
PSF = galsim.Gaussian(half_light_radius=2.0)
GALAXY = galsim.Exponential(half_light_radius=RADIUS, flux=100.0).shear(g1=0.3) + galsim.Gaussian(
    sigma=1.5, flux=15.0).shift(5.0, 2.0)


@pytest.fixture(scope="module")
def grids():
    return [GalaxyGrid(STAMP, cells=96, half_width=4.0),
            GalaxyGrid(STAMP, cells=40, half_width=1.0)]


def view(grids, galaxy, factor=1.0, **kwargs):
    """Views of a galaxy; fluxes and noise are multiplied by ``factor``."""
    stamp, psf = (
        tf.constant(profile.drawImage(nx=STAMP, ny=STAMP, scale=1.0, dtype=np.float32).array[None])
        for profile in (galsim.Convolve(galaxy * factor, PSF), PSF))
    return view_in_galaxy_frame(grids, stamp, psf, tf.constant([1e-3 * factor]),
                                tf.constant([RADIUS]), tf.constant([115.0 * factor]), **kwargs)


def test_shapes(grids):
    views, orientation = view(grids, GALAXY)
    assert [part.shape for part in views] == [(1, 96, 96, 3), (1, 40, 40, 3)]
    assert orientation.ellipticity.shape == (1,)


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("degrees", [50, 170, 290])
def test_views_do_not_depend_on_the_position_angle(grids, degrees, rounded):
    expected, upright = view(grids, GALAXY, rounded=rounded)
    views, orientation = view(grids, GALAXY.rotate(degrees * galsim.degrees), rounded=rounded)
    for part, reference, grid in zip(views, expected, grids, strict=True):
        # The corners of a grid are empty after a rotation.
        inside = np.hypot(grid.x, grid.y) < 0.9 * grid.half_width
        difference = np.abs(part - reference)[0, inside].mean(axis=0)
        assert np.all(difference < 0.03 * np.max(np.abs(reference), axis=(0, 1, 2)))
    angles = [np.arctan2(each.sine, each.cosine)[0] for each in (upright, orientation)]
    assert np.cos(angles[1] - angles[0] - np.radians(degrees)) == pytest.approx(1.0, abs=1e-3)


def test_rounded_views_are_round(grids):
    def ellipticity(rounded):
        galaxy = galsim.Gaussian(half_light_radius=RADIUS, flux=100.0).shear(g1=0.4)
        light = view(grids, galaxy, rounded=rounded)[0][0][0, ..., 1].numpy()
        x = grids[0].axis
        xx, yy = (light.sum(axis=0) @ x**2, light.sum(axis=1) @ x**2)
        return (xx - yy) / (xx + yy)

    # The PSF was round, and is compressed along the major axis together with the galaxy.
    assert ellipticity(rounded=False) > 0.25
    assert -0.15 < ellipticity(rounded=True) < 0.05


def test_units_of_flux_do_not_matter(grids):
    for part, other in zip(view(grids, GALAXY)[0], view(grids, GALAXY, factor=1000.0)[0],
                           strict=True):
        np.testing.assert_allclose(part, other, atol=1e-3)
