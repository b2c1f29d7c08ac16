"""The decoder and its head: the guarantees that every profile keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.profiles import measured_radius
from galsim_deep_training.networks.decoder import Decoder, ProfileHead, edge_window


@pytest.fixture(scope="module")
def decoder():
    keras.utils.set_random_seed(0)
    decoder = Decoder(32, channels=(6, 4, 4, 4), hidden=16)
    decoder(tf.zeros((1, 5)), tf.zeros((1, 3)))
    return decoder


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def test_the_decoder_starts_at_zero(decoder):
    numbers = decoder(normal(4, 5), normal(4, 3))
    assert numbers.shape == (4, 32, 32)
    np.testing.assert_array_equal(numbers, np.zeros((4, 32, 32)))


@pytest.mark.parametrize("size", [16, 48, 64])
def test_sizes(size):
    assert Decoder(size, channels=(4, 4, 4, 4), hidden=8)(
        normal(2, 5), normal(2, 3)).shape == (2, size, size)


def test_latent_and_context_count(awaken):
    keras.utils.set_random_seed(1)
    decoder = Decoder(16, channels=(6, 4, 4, 4), hidden=16)
    latent, context = normal(2, 5), normal(2, 3, seed=1)
    decoder(latent, context)
    awaken(decoder)
    numbers = decoder(latent, context).numpy()
    assert np.ptp(numbers[0]) > 0
    for changed in (decoder(1.5 * latent, context), decoder(latent, 1.5 * context)):
        assert np.abs(changed - numbers).max() > 1e-3


# ---- the head -------------------------------------------------------------------------------


def wild_numbers(count=6, size=32):
    """What no fit would make: large, of both signs, with a slope."""
    rng = np.random.default_rng(2)
    numbers = rng.standard_normal((count, size, size)) * np.logspace(-1, 2, count)[:, None, None]
    return tf.constant(numbers + np.linspace(-30, 30, size), tf.float32)


FLUX = tf.constant(np.logspace(-3, 5, 6), tf.float32)
RADII = tf.constant([0.0, 1.0, 3.0, 6.0, 20.0, 500.0])


def test_guarantees():
    profiles = ProfileHead(32, psf_radius=2.0)(wild_numbers(), RADII, FLUX).numpy()
    assert profiles.shape == (6, 32, 32) and profiles.dtype == np.float32
    assert np.all(np.isfinite(profiles)) and np.all(profiles >= 0.0)
    for edge in (profiles[:, 0], profiles[:, -1], profiles[:, :, 0], profiles[:, :, -1]):
        np.testing.assert_array_equal(edge, 0.0)
    # Light inside the outermost ring.
    assert np.all(profiles[:, 1:-1, 1:-1].sum(axis=(1, 2)) > 0.0)
    np.testing.assert_allclose(profiles.sum(axis=(1, 2), dtype=float), FLUX, rtol=1e-5)


def test_flux_is_a_factor():
    head = ProfileHead(32, psf_radius=2.0)
    one = head(wild_numbers(), RADII, tf.ones(6)).numpy()
    seven = head(wild_numbers(), RADII, 7.0 * tf.ones(6))
    np.testing.assert_allclose(seven, 7.0 * one, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("psf_radius", [0.0, 2.5])
@pytest.mark.parametrize("radius", [4.0, 6.0, 10.0])
def test_a_silent_network_makes_a_disc_of_the_asked_size(radius, psf_radius):
    """As observed: what is asked for holds the PSF, which is taken out in quadrature."""
    head = ProfileHead(128, psf_radius)
    observed = np.hypot(radius, psf_radius)
    profile = head(tf.zeros((1, 128, 128)), tf.constant([observed], tf.float32),
                   tf.constant([1.0])).numpy()[0]
    assert measured_radius(profile) == pytest.approx(radius, rel=0.06)


def test_a_silent_network_makes_a_disc():
    """Exponential along every direction, symmetric about the true centre."""
    head = ProfileHead(128, psf_radius=0.0)
    profile = head(tf.zeros((1, 128, 128)), tf.constant([8.0]), tf.constant([1.0])).numpy()[0]
    for turned in (profile[::-1], profile[:, ::-1], profile.T):
        np.testing.assert_allclose(turned, profile, rtol=1e-4)
    # Away from the centre, where softplus is an exponential, and inside of the window.
    axis = np.arange(128) - 63.5
    radius = np.hypot(*np.meshgrid(axis, axis))
    ring = (radius > 10) & (radius < 50) & (np.abs(axis) < 50) & (np.abs(axis) < 50)[:, None]
    slope = np.polyfit(radius[ring], np.log(profile[ring]), 1)[0]
    assert slope == pytest.approx(-1.6783 / 8.0, rel=0.01)


def test_gradient():
    numbers, size, flux = wild_numbers(), RADII, FLUX
    head = ProfileHead(32, psf_radius=2.0)
    with tf.GradientTape() as tape:
        tape.watch([numbers, size, flux])
        value = tf.reduce_sum(head(numbers, size, flux) ** 2)
    for gradient in tape.gradient(value, [numbers, size, flux]):
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("size", [16, 32, 33, 128])
def test_edge_window(size):
    window = edge_window(size)
    assert window.shape == (size,) and window.dtype == np.float32
    assert window[0] == window[-1] == 0.0
    np.testing.assert_array_equal(window, window[::-1])
    rising = window[:(size + 1) // 2]
    assert np.all(np.diff(rising) >= 0)
    if size > 16:
        np.testing.assert_array_equal(window[8:-8], 1.0)
        assert window[4] == pytest.approx(0.5)
