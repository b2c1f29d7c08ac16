"""The very deep VAE as an autoencoder."""

import numpy as np
import pytest
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep_training.families import make_family


def test_flux_and_edge(family, batch, columns):
    values = columns
    normal = tf.random.stateless_normal([4, family.latent_size], seed=[1, 2])
    images = family.sample(normal, values).numpy()
    np.testing.assert_allclose(images.sum(axis=(1, 2)), family.recipe.flux(values), rtol=1e-4)
    assert images.min() >= 0 and images[:, 0].max() == images[:, :, -1].max() == 0


def test_the_profile_of_the_means_is_that_of_z0(family, batch, columns):
    """With normal numbers of zero, sampling decodes the mean of the prior of z0."""
    values = columns
    prior = family.autoencoder.prior(values)
    decoded = family.autoencoder.decode(prior.mean[:, 0, 0], values)
    sampled = family.sample(tf.zeros([4, family.latent_size]), values)
    np.testing.assert_allclose(sampled, decoded, rtol=1e-4, atol=1e-5)


def test_the_stamp_matters_to_z0(family, batch, columns):
    values = columns
    mean, scale = family.autoencoder.encode(
        batch["stamp"], batch["psf"], batch["noise_sigma"], values)
    other, _ = family.autoencoder.encode(
        batch["stamp"][::-1], batch["psf"], batch["noise_sigma"], values)
    assert mean.shape == scale.shape == (4, 6) and np.all(scale > 0)
    assert np.abs(mean - other).max() > 1e-3


def test_a_flux_is_needed(make_recipe):
    def change(content):
        content["columns"] = content["columns"][:1]
    with pytest.raises(GalSimConfigError, match="no column of the quantity 'flux'.*vdvae"):
        make_family(make_recipe(change, family="vdvae"))
