"""The autoencoder of Lanusse et al. 2021: its aids end, and it does not use the columns."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.flow_vae.autoencoders.lanusse2021 import (
    Lanusse2021Autoencoder,
    Lanusse2021Settings,
)
from galsim_deep_training.networks.conditions import Conditions


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(1)
    psf = np.zeros((2, 17, 17))
    psf[:, 8, 8] = 1.0
    return {name: tf.constant(value, tf.float32) for name, value in dict(
        stamp=rng.standard_normal((2, 32, 32)), psf=psf, noise_sigma=np.ones(2)).items()}


@pytest.fixture(scope="module")
def autoencoder(recipe, batch, awaken):
    settings = Lanusse2021Settings(
        latent_size=4, depth=4, max_depth=8, stages=2, blocks=1, aided=0.5)
    made = Lanusse2021Autoencoder(settings, recipe, Conditions(()))
    made.infer(batch, tf.zeros([2, 4]), tf.constant(1.0))
    for network in made.networks.values():
        awaken(network)
    return made


def test_defaults_are_those_of_the_paper():
    settings = Lanusse2021Settings()
    assert (settings.latent_size, settings.depth, settings.max_depth) == (16, 16, 512)
    assert (settings.stages, settings.blocks) == (7, 2)


def test_a_latent_is_a_vector(autoencoder):
    assert (autoencoder.pose_size, autoencoder.vector_size, autoencoder.detail_size) == (0, 4, 0)


def test_aids_end(autoencoder, batch):
    """Penalty and transverse connections, after half of the fit."""
    normal = tf.zeros([2, 4])
    start, later, end, last = (autoencoder.infer(batch, normal, tf.constant(progress))
                               for progress in (0.0, 0.25, 0.5, 1.0))
    penalties = [float(inference.penalties["bottleneck"]) for inference in
                 (start, later, end, last)]
    assert penalties[0] > penalties[1] > 0 and penalties[2:] == [0, 0]
    np.testing.assert_array_equal(end.profiles, last.profiles)
    assert np.abs(start.profiles - last.profiles).max() > 1e-3 * np.max(last.profiles)


def test_profiles_end_before_the_edge(autoencoder):
    latent = tf.constant(np.random.default_rng(2).standard_normal((3, 4)), tf.float32)
    profiles = autoencoder.decode(latent, {}).numpy()
    assert profiles.shape == (3, 32, 32)
    for edge in (profiles[:, 0], profiles[:, -1], profiles[:, :, 0], profiles[:, :, -1]):
        np.testing.assert_array_equal(edge, 0.0)
    assert np.all(profiles[:, 16, 16] > 0)


def test_columns_have_no_effect(autoencoder, batch):
    args = batch["stamp"], batch["psf"], batch["noise_sigma"]
    columns = dict(mag_auto=tf.constant([20.0, 25.0]))
    for without, given in zip(autoencoder.encode(*args, {}), autoencoder.encode(*args, columns),
                              strict=True):
        np.testing.assert_array_equal(without, given)
