"""Orientation: coordinate transformations, and measurements of galaxies whose truth is known."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.rendering.grid import GalaxyGrid
from galsim_deep_training.rendering.orientation import (
    MAX_ELLIPTICITY,
    MIN_ELLIPTICITY,
    Orientation,
    _third_moment_weight,
    measure_orientation,
    orientation_from_latents,
    with_parity,
)

STAMP, RADIUS = 64, 5.0
PSF = galsim.Gaussian(half_light_radius=2.0)
SCALE = tf.constant([RADIUS])


@pytest.fixture(scope="module")
def grid():
    return GalaxyGrid(STAMP, cells=96, half_width=4.0)


def draw(profile, size=STAMP):
    return profile.drawImage(nx=size, ny=size, scale=1.0, dtype=np.float32).array[None]


def measure(grid, galaxy, sigma=1e-6):
    stamp, psf = (grid.from_stamp(draw(profile), SCALE)
                  for profile in (galsim.Convolve(galaxy, PSF), PSF))
    return measure_orientation(grid, stamp, psf, tf.constant([sigma], tf.float32), SCALE)


def lopsided(g=0.3, degrees=0.0, mirrored=False):
    """A disc with a knot off both axes."""
    profile = galsim.Exponential(half_light_radius=RADIUS) + galsim.Gaussian(
        sigma=1.5, flux=0.15).shift(4.0, -3.0 if mirrored else 3.0)
    return profile.shear(g1=g).rotate(degrees * galsim.degrees)


def orientation(degrees, parity, ellipticity):
    angle = np.radians([degrees])
    return Orientation(*(tf.constant(part, tf.float32) for part in (
        np.cos(angle), np.sin(angle), [parity], [ellipticity])))


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("ellipticity", [-0.2, 0.0, 0.6])
def test_rotation_from_sky_inverts_to_sky_without_stretching(parity, ellipticity):
    galaxy = orientation(40, parity, ellipticity)
    ratio = (1 - ellipticity) / (1 + ellipticity)
    assert galaxy.axis_ratio.numpy() == pytest.approx(ratio)
    np.testing.assert_allclose(
        galaxy.rotation_from_sky[0] @ galaxy.to_sky[0], np.diag([1, ratio]), atol=1e-6)
    assert np.linalg.det(galaxy.to_sky[0]) == pytest.approx(parity * ratio, rel=1e-5)


def test_major_axis_keeps_its_length_and_has_the_position_angle():
    along, across = orientation(30, 1, 1 / 3).to_sky[0].numpy().T
    np.testing.assert_allclose(along, [np.cos(np.pi / 6), 0.5], atol=1e-6)
    np.testing.assert_allclose(across, 0.5 * np.array([-0.5, np.cos(np.pi / 6)]), atol=1e-6)
    assert orientation(30, 1, 1 / 3).major_axis_factor.numpy() == pytest.approx(4 / 3)


def test_latents_are_normalised_and_limited():
    galaxy = orientation_from_latents(
        tf.constant([[3.0, 4.0, -0.2], [0.0, -2.0, 5.0]]), tf.constant([9.0, -9.0]))
    np.testing.assert_allclose(galaxy.latents, [[0.6, 0.8, -1.0], [0.0, -1.0, 1.0]], atol=1e-6)
    np.testing.assert_allclose(galaxy.ellipticity, [MAX_ELLIPTICITY, MIN_ELLIPTICITY])
    again = orientation_from_latents(galaxy.latents)
    np.testing.assert_allclose(again.latents, galaxy.latents, atol=1e-6)


@pytest.mark.parametrize("degrees", [0, 35, 90, 160])
@pytest.mark.parametrize("g", [0.1, 0.3, 0.5])
def test_measures_angle_and_ellipticity_before_the_psf(grid, degrees, g):
    galaxy = galsim.Gaussian(half_light_radius=RADIUS).shear(
        g=g, beta=degrees * galsim.degrees)
    measured = measure(grid, galaxy)
    assert measured.ellipticity.numpy()[0] == pytest.approx(g, abs=0.03)
    double = 2 * np.arctan2(measured.sine, measured.cosine)[0]
    assert np.cos(double - 2 * np.radians(degrees)) == pytest.approx(1.0, abs=1e-3)


def test_ellipticity_of_round_and_of_needle_shaped_galaxies(grid):
    assert measure(grid, galsim.Exponential(half_light_radius=RADIUS)).ellipticity[0] < 0.02
    needle = galsim.Gaussian(half_light_radius=2 * RADIUS).shear(q=0.05, beta=0 * galsim.degrees)
    assert 0.6 < measure(grid, needle).ellipticity[0] <= MAX_ELLIPTICITY


def test_ellipticity_shrinks_where_noise_dominates(grid):
    galaxy = galsim.Gaussian(half_light_radius=RADIUS).shear(g1=0.4)
    measured = [float(measure(grid, galaxy, sigma).ellipticity[0]) for sigma in (1e-4, 1e-2, 1)]
    assert measured[0] > 0.38 and measured[2] < 0.01
    assert measured == sorted(measured, reverse=True)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_stamps_without_a_galaxy(grid, value):
    psf = grid.from_stamp(draw(PSF), SCALE)
    measured = measure_orientation(grid, tf.fill([1, 96, 96], value), psf, tf.ones([1]), SCALE)
    for number in (measured.cosine, measured.sine, measured.ellipticity):
        assert np.isfinite(number).all()
    assert 0 <= measured.ellipticity[0] <= MAX_ELLIPTICITY


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 70, 140, 200, 300])
def test_rotated_and_mirrored_galaxies_look_alike_in_the_frame(grid, degrees, mirrored):
    def in_frame(galaxy):
        image, measured = grid.from_stamp(draw(galaxy), SCALE), measure(grid, galaxy)
        upright = grid.resample(image, measured.to_sky)
        return grid.resample(image, with_parity(grid, upright, measured).to_sky)

    view = in_frame(lopsided(degrees=degrees, mirrored=mirrored))
    reference = in_frame(lopsided())
    assert np.abs(view - reference).sum() / np.abs(reference).sum() < 0.05


def test_third_moments_hardly_depend_on_the_centring(grid):
    def moment(galaxy):
        weight = _third_moment_weight(grid, grid.x)
        return float(np.sum(grid.from_stamp(draw(galaxy), SCALE) * weight))

    disc = galsim.Exponential(half_light_radius=RADIUS)
    assert abs(moment(disc.shift(0.4, 0.0))) < 0.05 * abs(moment(lopsided(g=0.0)))


@pytest.mark.parametrize("parity", [1.0, -1.0])
def test_points_rotate_as_images_do(grid, parity):
    x, y = 1.2, 0.5
    image = np.exp(-0.5 * ((grid.x - x) ** 2 + (grid.y - y) ** 2) / 0.04).astype(np.float32)
    angle = tf.constant([0.8])
    galaxy = Orientation(tf.cos(angle), tf.sin(angle), tf.constant([parity]))
    rotated = grid.resample(image[None], galaxy.rotation_from_sky).numpy()[0]
    centroid = [(rotated * axis).sum() / rotated.sum() for axis in (grid.x, grid.y)]
    np.testing.assert_allclose(
        galaxy.rotate_to_sky(tf.constant([[x, y]]))[0], centroid, atol=0.01)


@pytest.mark.parametrize("parity", [1.0, -1.0])
@pytest.mark.parametrize("ellipticity", [-0.3, -0.1, 0.0, 0.4])
def test_exchange_of_axes_changes_nothing_on_the_sky(parity, ellipticity):
    angle = 0.7
    galaxy = Orientation(*(tf.constant([value], tf.float32) for value in (
        np.cos(angle), np.sin(angle), parity, ellipticity)))
    equivalent, exchange = galaxy.with_major_axis_along_x()
    assert bool(exchange[0]) == (ellipticity < 0) and equivalent.ellipticity[0] >= 0
    axes = np.eye(2)[::-1] if exchange[0] else np.eye(2)
    # Lengths in the frame are in units of the longer axis.
    np.testing.assert_allclose(
        galaxy.major_axis_factor[0] * galaxy.to_sky[0].numpy(),
        equivalent.major_axis_factor[0] * equivalent.to_sky[0].numpy() @ axes, atol=1e-6)
