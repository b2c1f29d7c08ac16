"""The autoencoder of an envelope and structure on a polar grid."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep.measure.half_light import measured_radius
from galsim_deep_training.families.flow_vae.autoencoders.polar_frame import (
    PolarFrameAutoencoder,
    PolarFrameSettings,
)
from galsim_deep_training.families.shared.signatures import POSITION_ANGLE_SCALE
from galsim_deep_training.networks.conditions import Conditions

TINY = dict(latent_size=4, rows=16, channels=[6, 4, 4, 4], maps=[2, 1, 1, 0],
            encoder_channels=[4, 4, 4], hidden=16, start=4)


@pytest.fixture(scope="module")
def autoencoder(make_recipe, awaken):
    """With random weights, on stamps that hold all of the light."""
    keras.utils.set_random_seed(8)
    recipe = make_recipe(lambda content: content["stamp"].update(size=96))
    made = PolarFrameAutoencoder(PolarFrameSettings(**TINY), recipe, Conditions(recipe.columns))
    made.infer(dict(columns(), stamp=tf.zeros([4, 96, 96]), psf=tf.ones([4, 17, 17]) / 289,
                    noise_sigma=tf.ones([4])), tf.zeros([4, made.latent_size]), tf.constant(1.0))
    for network in made.networks.values():
        awaken(network, size=0.05)
    return made


def columns(radius=5.0):
    return dict(flux_radius=tf.fill([4], radius), mag_auto=tf.fill([4], 22.0),
                zphot=tf.fill([4], 0.5), pixel_scale=tf.fill([4], 0.03))


def latents(autoencoder, seed=1):
    latent = np.random.default_rng(seed).standard_normal((4, autoencoder.latent_size))
    latent[:, 3:autoencoder.pose_size] = 0.0
    return tf.constant(latent, tf.float32)


def test_flux_and_half_light_radius_are_about_those_of_the_columns(autoencoder):
    """Strong structure changes them, which the pose of an encoded galaxy makes up for."""
    profiles = autoencoder.decode(latents(autoencoder), columns()).numpy().astype(float)
    flux = 10 ** (-0.4 * (22.0 - 25.94))
    np.testing.assert_allclose(profiles.sum(axis=(1, 2)), flux, rtol=0.1)
    np.testing.assert_allclose([measured_radius(profile) for profile in profiles], 5.0, rtol=0.25)
    assert np.all(profiles > 0)


def test_pixels_of_another_size(autoencoder):
    """The same galaxy on pixels half as large has twice the radius in pixels."""
    latent = latents(autoencoder)
    fine = autoencoder.decode(latent, dict(columns(4.0), pixel_scale=tf.fill([4], 0.015)))
    other = autoencoder.conditions
    # In pixels of the recipe it would be a galaxy of 8 pixels, but for the column itself.
    autoencoder.conditions = lambda values: other(columns(4.0))
    try:
        large = autoencoder.decode(latent, columns(8.0))
    finally:
        autoencoder.conditions = other
    np.testing.assert_allclose(fine, large, rtol=1e-3, atol=1e-5 * np.max(large))


def test_the_position_angle_is_measured(autoencoder):
    latent = latents(autoencoder)
    stamps = autoencoder.decode(latent, columns())
    psf = np.zeros((4, 17, 17), np.float32)
    psf[:, 8, 8] = 1.0
    mean, scale = autoencoder.encode(stamps, tf.constant(psf), tf.fill([4], 1e-4), columns())
    np.testing.assert_allclose(scale[:, :3], POSITION_ANGLE_SCALE)
    wanted = latent[:, :2] / tf.norm(latent[:, :2], axis=1, keepdims=True)
    along = np.abs(np.sum(mean[:, :2] * wanted, axis=1))
    elongated = latent[:, autoencoder.pose_size].numpy() > 0
    assert elongated.any() and np.all(along[elongated] > 0.93)


# ---- galaxies that fit their stamps ---------------------------------------------------------


def parts(latent):
    """Latents of the position angle, and those of the shape."""
    return latent[:, :3], latent[:, 7:]


def moments(profile):
    axis = np.arange(len(profile)) - 0.5 * (len(profile) - 1)
    return [np.sum(profile * axis), np.sum(profile * axis[:, None])] / np.sum(profile)


@pytest.mark.parametrize("size, radius, scale, tolerance", [
    (32, 2.5, 0.03, 0.05), (64, 5.0, 0.03, 0.03), (256, 20.0, 0.03, 0.02), (128, 40.0, 0.12, 0.02)])
def test_size_flux_and_centre_of_generated_galaxies(autoencoder, size, radius, scale, tolerance):
    """The structure of random weights, which is strong, would change sizes by up to 30 per cent."""
    values = dict(columns(radius), pixel_scale=tf.fill([4], scale))
    light = autoencoder.generate_on(size, *parts(latents(autoencoder, 5)), values)
    profiles = light.numpy().astype(float)
    assert profiles.shape == (4, size, size) and np.all(profiles >= 0)
    np.testing.assert_allclose(profiles.sum(axis=(1, 2)), 10 ** (-0.4 * (22.0 - 25.94)), rtol=1e-5)
    for profile in profiles:
        assert measured_radius(profile) * scale / 0.03 == pytest.approx(radius, rel=tolerance)
        np.testing.assert_allclose(moments(profile), 0.0, atol=0.05 * radius * 0.03 / scale)
        for edge in (profile[0], profile[-1], profile[:, 0], profile[:, -1]):
            np.testing.assert_array_equal(edge, 0.0)


def test_a_galaxy_is_the_same_on_stamps_of_other_sizes(autoencoder):
    values = columns(6.0)
    small, large = (autoencoder.generate_on(size, *parts(latents(autoencoder, 5)), values).numpy()
                    for size in (128, 256))
    middle = large[:, 64:-64, 64:-64]
    peak = middle.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(small / peak, middle / peak, atol=0.01)


def test_small_stamps_need_the_coarse_structure_only(autoencoder):
    """Detail finer than their pixels is left out."""
    values = columns(4.0)
    small, large = (autoencoder.generate_on(size, *parts(latents(autoencoder, 5)), values).numpy()
                    for size in (16, 128))
    assert small.shape == (4, 16, 16)
    assert np.all(np.isfinite(small)) and np.all(np.isfinite(large))


def test_the_extent_contains_the_light(autoencoder):
    position_angle, shape = parts(latents(autoencoder, 5))
    extent = autoencoder.extent(
        position_angle, shape[:, :autoencoder.vector_size], columns(4.0)).numpy()
    profiles = autoencoder.generate_on(256, position_angle, shape, columns(4.0)).numpy()
    axis = np.arange(256) - 127.5
    distance = np.hypot(axis, axis[:, None])
    for radius, profile in zip(extent, profiles, strict=True):
        beyond = profile[distance > radius].sum(dtype=float) / profile.sum(dtype=float)
        assert 1e-5 < beyond < 0.006
