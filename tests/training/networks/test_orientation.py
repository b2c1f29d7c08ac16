"""Orientation: what is measured on galaxies that are known."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.frame import GalaxyFrame
from galsim_deep_training.networks.orientation import LARGEST, Orientation, measure, with_ends

STAMP, RADIUS = 64, 5.0
PSF = galsim.Gaussian(half_light_radius=2.0)
SCALE = tf.constant([RADIUS])


@pytest.fixture(scope="module")
def frame():
    return GalaxyFrame(STAMP, cells=96, reach=4.0)


def drawn(profile, size=STAMP):
    return profile.drawImage(nx=size, ny=size, scale=1.0, dtype=np.float32).array[None]


def looked_at(frame, galaxy, sigma=1e-6):
    seen, psf = (frame.from_stamp(drawn(one), SCALE)
                 for one in (galsim.Convolve(galaxy, PSF), PSF))
    return measure(frame, seen, psf, tf.constant([sigma], tf.float32), SCALE)


def lopsided(g=0.3, degrees=0.0, mirrored=False):
    """A disc with a knot off both axes."""
    profile = galsim.Exponential(half_light_radius=RADIUS) + galsim.Gaussian(
        sigma=1.5, flux=0.15).shift(4.0, -3.0 if mirrored else 3.0)
    return profile.shear(g1=g).rotate(degrees * galsim.degrees)


def orientation(degrees, parity, elongation):
    angle = np.radians([degrees])
    return Orientation(*(tf.constant(part, tf.float32) for part in (
        np.cos(angle), np.sin(angle), [parity], [elongation])))


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("elongation", [-0.2, 0.0, 0.6])
def test_upright_is_to_the_sky_and_back_without_stretching(parity, elongation):
    one = orientation(40, parity, elongation)
    ratio = (1 - elongation) / (1 + elongation)
    assert one.axis_ratio.numpy() == pytest.approx(ratio)
    np.testing.assert_allclose(one.upright[0] @ one.to_sky[0], np.diag([1, ratio]), atol=1e-6)
    assert np.linalg.det(one.to_sky[0]) == pytest.approx(parity * ratio, rel=1e-5)


def test_the_major_axis_keeps_its_length_and_points_where_it_should():
    along, across = orientation(30, 1, 1 / 3).to_sky[0].numpy().T
    np.testing.assert_allclose(along, [np.cos(np.pi / 6), 0.5], atol=1e-6)
    np.testing.assert_allclose(across, 0.5 * np.array([-0.5, np.cos(np.pi / 6)]), atol=1e-6)
    assert orientation(30, 1, 1 / 3).lengthening.numpy() == pytest.approx(4 / 3)


@pytest.mark.parametrize("degrees", [0, 35, 90, 160])
@pytest.mark.parametrize("g", [0.1, 0.3, 0.5])
def test_angle_and_elongation_before_the_psf(frame, degrees, g):
    galaxy = galsim.Gaussian(half_light_radius=RADIUS).shear(
        g=g, beta=degrees * galsim.degrees)
    found = looked_at(frame, galaxy)
    assert found.elongation.numpy()[0] == pytest.approx(g, abs=0.03)
    double = 2 * np.arctan2(found.sine, found.cosine)[0]
    assert np.cos(double - 2 * np.radians(degrees)) == pytest.approx(1.0, abs=1e-3)


def test_a_round_galaxy_is_round_and_a_needle_is_limited(frame):
    assert looked_at(frame, galsim.Exponential(half_light_radius=RADIUS)).elongation[0] < 0.02
    needle = galsim.Gaussian(half_light_radius=2 * RADIUS).shear(q=0.05, beta=0 * galsim.degrees)
    assert 0.6 < looked_at(frame, needle).elongation[0] <= LARGEST


def test_what_noise_could_have_made_is_not_believed(frame):
    galaxy = galsim.Gaussian(half_light_radius=RADIUS).shear(g1=0.4)
    believed = [float(looked_at(frame, galaxy, sigma).elongation[0]) for sigma in (1e-4, 1e-2, 1)]
    assert believed[0] > 0.38 and believed[2] < 0.01
    assert believed == sorted(believed, reverse=True)


@pytest.mark.parametrize("image", [np.zeros, np.ones, lambda shape: -np.ones(shape)])
def test_stamps_without_a_galaxy(frame, image):
    blank = tf.constant(image((1, 96, 96)), tf.float32)
    psf = frame.from_stamp(drawn(PSF), SCALE)
    found = measure(frame, blank, psf, tf.ones([1]), SCALE)
    for number in (found.cosine, found.sine, found.elongation):
        assert np.isfinite(number).all()
    assert 0 <= found.elongation[0] <= LARGEST


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 70, 140, 200, 300])
def test_a_galaxy_is_seen_the_same_way_however_it_lies(frame, degrees, mirrored):
    galaxy = lopsided(degrees=degrees, mirrored=mirrored)
    image = frame.from_stamp(drawn(galaxy), SCALE)
    found = looked_at(frame, galaxy)
    plain = frame.resample(image, found.to_sky)
    seen = frame.resample(image, with_ends(frame, plain, found).to_sky)
    first = looked_at(frame, lopsided())
    image = frame.from_stamp(drawn(lopsided()), SCALE)
    first = with_ends(frame, frame.resample(image, first.to_sky), first)
    reference = frame.resample(image, first.to_sky)
    difference = np.abs(seen - reference).sum() / np.abs(reference).sum()
    assert difference < 0.05


def test_third_moments_do_not_tell_how_well_a_galaxy_is_centred(frame):
    from galsim_deep_training.networks.orientation import _lopsided

    def moment(galaxy):
        return float(np.sum(frame.from_stamp(drawn(galaxy), SCALE) * _lopsided(frame, frame.x)))

    disc = galsim.Exponential(half_light_radius=RADIUS)
    assert abs(moment(disc.shift(0.4, 0.0))) < 0.05 * abs(moment(lopsided(g=0.0)))


@pytest.mark.parametrize("parity", [1.0, -1.0])
def test_points_turn_as_images_do(frame, parity):
    x, y = 1.2, 0.5
    image = np.exp(-0.5 * ((frame.x - x) ** 2 + (frame.y - y) ** 2) / 0.04).astype(np.float32)
    angle = tf.constant([0.8])
    found = Orientation(tf.cos(angle), tf.sin(angle), tf.constant([parity]))
    turned = frame.resample(image[None], found.upright).numpy()[0]
    middle = [(turned * axis).sum() / turned.sum() for axis in (frame.x, frame.y)]
    np.testing.assert_allclose(found.turned(tf.constant([[x, y]]))[0], middle, atol=0.01)


@pytest.mark.parametrize("parity", [1.0, -1.0])
@pytest.mark.parametrize("elongation", [-0.3, -0.1, 0.0, 0.4])
def test_lengthwise_is_the_same_on_the_sky(parity, elongation):
    """With x and y of the frame exchanged where it says so, and in units of its longer axis."""
    angle = 0.7
    one = Orientation(*(tf.constant([value], tf.float32) for value in (
        np.cos(angle), np.sin(angle), parity, elongation)))
    other, across = one.lengthwise()
    assert bool(across[0]) == (elongation < 0) and other.elongation[0] >= 0
    exchange = np.eye(2)[::-1] if across[0] else np.eye(2)
    np.testing.assert_allclose(
        one.lengthening[0] * one.to_sky[0].numpy(),
        other.lengthening[0] * other.to_sky[0].numpy() @ exchange, atol=1e-6)
