"""The autoencoder of an envelope and structure on a polar grid."""

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


def test_flux_and_half_light_radius_are_those_of_the_columns(autoencoder):
    """Whatever the structure is, but for its correlation with the ellipticity."""
    profiles = autoencoder.decode(latents(autoencoder), columns()).numpy().astype(float)
    flux = 10 ** (-0.4 * (22.0 - 25.94))
    np.testing.assert_allclose(profiles.sum(axis=(1, 2)), flux, rtol=0.03)
    np.testing.assert_allclose([measured_radius(profile) for profile in profiles], 5.0, rtol=0.1)
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


def test_the_relief_has_a_mean_of_one_in_each_ring(autoencoder):
    structure = tf.constant(np.random.default_rng(3).normal(size=(2, 16, 32)), tf.float32)
    relief = autoencoder.relief(1.5 * structure).numpy()
    np.testing.assert_allclose(relief.mean(axis=2), 1.0, rtol=1e-5)
    assert np.all(relief > 0) and np.std(relief[:, 8]) > 0.1
    # There is none in the very centre and little far outside, where it could not be seen.
    np.testing.assert_array_equal(relief[:, 0], 1.0)
    assert np.std(relief[:, -1]) < 0.5 * np.std(relief[:, 8])


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
    assert elongated.any() and np.all(along[elongated] > 0.97)
