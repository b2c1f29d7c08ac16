"""The family vdvae: flux, encoding and decoding, the fit through clipped stamps."""

import numpy as np
import pytest
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family


@pytest.fixture(scope="module")
def family(make_recipe, data_file, awaken):
    family = make_family(make_recipe(family="vdvae"))
    family.prepare(Dataset(data_file))
    for network in family.networks.values():
        awaken(network)
    return family


@pytest.fixture(scope="module")
def batch(data_file):
    dataset = Dataset(data_file)
    return {name: tf.constant(value)
            for name, value in dataset.read(dataset.test_indices[:4]).items()}


def columns(family, batch):
    return {column.name: batch[column.name] for column in family.recipe.columns}


def test_flux_and_edge(family, batch):
    values = columns(family, batch)
    normal = tf.random.stateless_normal([4, family.latent_size], seed=[1, 2])
    images = family.sample(normal, values).numpy()
    np.testing.assert_allclose(images.sum(axis=(1, 2)), family.recipe.flux(values), rtol=1e-4)
    assert images.min() >= 0 and images[:, 0].max() == images[:, :, -1].max() == 0


def test_the_profile_of_the_means_is_that_of_z0(family, batch):
    """With normal numbers of zero, sampling decodes the mean of the prior of z0."""
    values = columns(family, batch)
    prior = family.autoencoder.prior(values)
    decoded = family.autoencoder.decode(prior.mean[:, 0, 0], values)
    sampled = family.sample(tf.zeros([4, family.latent_size]), values)
    np.testing.assert_allclose(sampled, decoded, rtol=1e-4, atol=1e-5)


def test_density_of_z0(family, batch):
    """A diagonal Gaussian given the columns."""
    from scipy import stats

    values, latent = columns(family, batch), np.random.default_rng(1).standard_normal((4, 6))
    prior = family.autoencoder.prior(values)
    expected = stats.norm.logpdf(
        latent, prior.mean[:, 0, 0], prior.scale[:, 0, 0]).sum(axis=-1)
    found = family.log_prob(tf.constant(latent, tf.float32), values)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_stamp_matters_to_z0(family, batch):
    values = columns(family, batch)
    mean, scale = family.autoencoder.encode(
        batch["stamp"], batch["psf"], batch["noise_sigma"], values)
    other, _ = family.autoencoder.encode(
        batch["stamp"][::-1], batch["psf"], batch["noise_sigma"], values)
    assert mean.shape == scale.shape == (4, 6) and np.all(scale > 0)
    assert np.abs(mean - other).max() > 1e-3


def test_clipped_pixels_agree_with_fainter_models(family, batch):
    """Where a stamp was clipped, only a model above the threshold disagrees."""
    phase = family.phases[0]
    before = family.clipping.threshold.numpy()
    family.clipping.threshold.assign(3.0)
    try:
        sigma = batch["noise_sigma"]
        stamps = tf.zeros_like(batch["stamp"])
        level = sigma[:, None, None] * tf.ones_like(stamps)
        observed = phase._observed(2.0 * level, dict(batch, stamp=stamps))
        np.testing.assert_allclose(observed, 2.0 * level)
        observed = phase._observed(5.0 * level, dict(batch, stamp=stamps))
        np.testing.assert_allclose(observed, 3.0 * level)
        stamps = 4.0 * level
        np.testing.assert_allclose(phase._observed(2.0 * level, dict(batch, stamp=stamps)), stamps)
    finally:
        family.clipping.threshold.assign(before)


def test_stamps_that_are_not_clipped_are_left(family, batch):
    observed = family.phases[0]._observed(tf.ones_like(batch["stamp"]), batch)
    np.testing.assert_array_equal(observed, batch["stamp"])


def test_beta_multiplies_the_kl_divergence(make_recipe):
    def change(content):
        content["fit"]["autoencoder"].update(beta=3.0, beta_warm_up=0.5)
    phase = make_family(make_recipe(change, family="vdvae")).phases[0]
    assert float(phase._beta(tf.constant(0.0))) == pytest.approx(0.3)
    assert float(phase._beta(tf.constant(0.9))) == pytest.approx(3.0)


def test_a_flux_is_needed(make_recipe):
    def change(content):
        content["columns"] = content["columns"][:1]
    with pytest.raises(GalSimConfigError, match="no column of the quantity 'flux'.*vdvae"):
        make_family(make_recipe(change, family="vdvae"))


def test_columns_are_needed(make_recipe):
    def change(content):
        content["columns"] = []
        content["fit"]["autoencoder"].update(model_error=0.0)
    with pytest.raises(GalSimConfigError, match="has no columns"):
        make_family(make_recipe(change, family="vdvae"))
