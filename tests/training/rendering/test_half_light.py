"""The imposed half-light radius is the one that a measurement on the observed stamp finds."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.measure.half_light import measured_radius
from galsim_deep_training.rendering.grid import GalaxyGrid
from galsim_deep_training.rendering.half_light import FACTORS, HalfLight

PSF = galsim.Convolve(galsim.Moffat(beta=3.0, fwhm=2.9), galsim.Pixel(1.0))


@pytest.fixture(scope="module")
def grid():
    return GalaxyGrid(128, half_width=5.0)


@pytest.fixture(scope="module")
def half_light(grid):
    layer = HalfLight([grid])
    layer.adapt(PSF.drawImage(nx=65, ny=65, scale=1.0, method="no_pixel", dtype=float).array)
    return layer


def exponential(grid):
    return np.exp(-1.678 * np.hypot(grid.x, grid.y))


def flattened_with_a_knot(grid):
    disc = np.exp(-1.678 * np.hypot(grid.x, 2.5 * grid.y))
    return disc + 0.4 * np.exp(-0.5 * ((grid.x - 0.9) ** 2 + (grid.y - 0.1) ** 2) / 0.04)


def concentrated(grid):
    return np.exp(-5.0 * np.sqrt(np.hypot(grid.x, grid.y)))


def unit_flux(light):
    return (light / light.sum()).astype(np.float32)


@pytest.mark.parametrize("profile", [exponential, flattened_with_a_knot, concentrated])
@pytest.mark.parametrize("radius", [3.4, 5.0, 8.0, 14.0, 25.0])
def test_observed_through_the_psf_the_radius_is_as_imposed(grid, half_light, profile, radius):
    light = unit_flux(profile(grid))[None]
    centre = tf.constant([[(light[0] * grid.x).sum(), (light[0] * grid.y).sum()]], tf.float32)
    scale = tf.constant([np.sqrt(radius**2 - 6.0)], tf.float32)
    scale *= half_light([light], centre, tf.constant([radius], tf.float32), scale)
    stamp = grid.to_stamp(light, scale, -scale[:, None] * centre).numpy()[0].astype(float)
    observed = galsim.Convolve(
        galsim.InterpolatedImage(galsim.Image(stamp, scale=1.0)), PSF).drawImage(
            nx=128, ny=128, scale=1.0, method="no_pixel", dtype=float).array
    assert np.isclose(measured_radius(observed), radius, rtol=0.015)


@pytest.mark.parametrize("x", [0.0, 0.2])
def test_light_counts_the_same_on_every_grid(grid, half_light, x):
    inner_grid = GalaxyGrid(128, cells=80, half_width=2.0)
    on_both = HalfLight([grid, inner_grid])
    on_both.table.assign(half_light.table)
    whole = unit_flux(exponential(grid))
    outside = np.where(np.hypot(grid.x, grid.y) < 1.5, 0.0, whole).astype(np.float32)
    inside = np.where(np.hypot(inner_grid.x, inner_grid.y) < 1.5, exponential(inner_grid), 0.0)
    inside *= (1.0 - outside.sum()) / inside.sum()
    centre, radius, scale = tf.constant([[x, -x]]), tf.constant([8.0]), tf.constant([7.0])
    np.testing.assert_allclose(
        on_both([outside[None], inside[None].astype(np.float32)], centre, radius, scale),
        half_light([whole[None]], centre, radius, scale), rtol=5e-3)


def test_factor_is_inverse_to_the_scale(grid, half_light):
    light = np.repeat(unit_flux(exponential(grid))[None], 2, axis=0)
    factor = half_light([light], tf.zeros([2, 2]), tf.constant([8.0, 8.0]),
                        tf.constant([6.0, 9.0])).numpy()
    assert np.isclose(factor[0] / factor[1], 1.5, rtol=0.01)


def test_factors_are_limited(grid, half_light):
    """A radius smaller than that of the PSF, and one far larger than the scale."""
    light = np.repeat(unit_flux(exponential(grid))[None], 2, axis=0)
    factor = half_light([light], tf.zeros([2, 2]), tf.constant([1.0, 40.0]),
                        tf.constant([4.0, 4.0])).numpy()
    assert np.allclose(factor, [FACTORS[0], FACTORS[-1]])


def test_gradient_reaches_the_light(grid, half_light):
    light = tf.Variable(exponential(grid)[None].astype(np.float32))
    with tf.GradientTape() as tape:
        factor = half_light([light / tf.reduce_sum(light)], tf.zeros([1, 2]), tf.constant([6.0]),
                            tf.constant([5.0]))
    gradient = tape.gradient(factor, light).numpy()
    assert np.isfinite(gradient).all()
    # Light added at the outskirts makes a profile larger, so that it is drawn smaller.
    assert gradient[0, 48, 80] < 0 < gradient[0, 48, 48]


@pytest.mark.parametrize("argument", ["light", "centre", "radius", "scale"])
def test_nan_does_not_affect_other_galaxies(grid, half_light, argument):
    light = unit_flux(exponential(grid))
    arguments = dict(light=np.stack([light, light]), centre=np.zeros((2, 2), np.float32),
                     radius=np.full(2, 8.0, np.float32), scale=np.full(2, 7.0, np.float32))

    def factors():
        light, *others = (tf.constant(value) for value in arguments.values())
        return half_light([light], *others).numpy()

    expected = factors()
    arguments[argument][1] = np.nan
    assert factors()[0] == expected[0]
