"""The networks of the equivariant transformer VAE."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.et_vae.networks import CanonicalEncoder, MapDecoder, PoseNetwork
from galsim_deep_training.families.et_vae.settings import ETVAESettings

SETTINGS = ETVAESettings(radii=8, angles=32, latent_size=5, channels=[4, 6], pose_channels=[4])


@pytest.fixture
def maps():
    return tf.random.stateless_normal([6, 8, 32, 2], [1, 2])


def between(angle):
    """An angle [rad] between -pi/2 and pi/2."""
    return np.mod(np.asarray(angle) + np.pi / 2, np.pi) - np.pi / 2


@pytest.mark.parametrize("shift", [1, 5, 16, 27])
def test_the_position_angle_moves_with_the_map(maps, shift, awaken):
    network = PoseNetwork(SETTINGS)
    network(maps)
    awaken(network)
    moved = network(tf.roll(maps, shift, axis=2)) - network(maps)
    np.testing.assert_allclose(between(moved - 2 * np.pi * shift / 32), 0.0, atol=1e-3)


def test_the_position_angle_of_a_bar():
    """That of the light, before any fit, since the first weights of the rest are small."""
    angle = 2 * np.pi * np.arange(32) / 32
    light = 5 + 4 * np.cos(2 * (angle - 0.7))
    maps = tf.constant(np.broadcast_to(light[:, None], [1, 8, 32, 1]), tf.float32)
    found = PoseNetwork(SETTINGS)(maps)
    assert between(found - 0.7) == pytest.approx(0.0, abs=0.15)


def test_the_gradient_of_the_position_angle(maps, awaken):
    """It is that of finite differences where a galaxy is not round, and finite where it is."""
    network = PoseNetwork(SETTINGS)
    network(maps)
    awaken(network)
    direction = tf.random.stateless_normal(maps.shape, [3, 4])
    with tf.GradientTape() as tape:
        tape.watch(maps)
        angle = tf.reduce_sum(network(50.0 * maps))
    slope = tf.reduce_sum(tape.gradient(angle, maps) * direction)
    step = 1e-3
    change = between(network(50.0 * (maps + step * direction))
                     - network(50.0 * (maps - step * direction))).sum() / (2 * step)
    assert float(slope) == pytest.approx(change, rel=0.05)
    flat = tf.zeros_like(maps)
    with tf.GradientTape() as tape:
        tape.watch(flat)
        angle = tf.reduce_sum(network(flat))
    assert np.isfinite(tape.gradient(angle, flat)).all()


def test_latents_are_the_same_after_half_a_turn(maps, awaken):
    encoder = CanonicalEncoder(SETTINGS)
    encoder(maps)
    awaken(encoder)
    mean, scale = encoder(maps)
    turned_mean, turned_scale = encoder(tf.roll(maps, 16, axis=2))
    np.testing.assert_allclose(turned_mean, mean, atol=1e-5)
    np.testing.assert_allclose(turned_scale, scale, rtol=1e-4)
    assert np.abs(encoder(tf.roll(maps, 8, axis=2))[0] - mean).max() > 1e-3


def test_the_decoder_uses_all_latents(awaken):
    decoder = MapDecoder(SETTINGS, bands=3)
    decoder(tf.zeros([1, 5]))
    awaken(decoder)
    latent = tf.zeros([5, 5])
    made = decoder(latent + tf.eye(5))
    assert made.shape == (5, 8, 32, 3)
    changes = np.abs(made - decoder(latent)).max(axis=(1, 2, 3))
    assert (changes > 1e-6).all()
