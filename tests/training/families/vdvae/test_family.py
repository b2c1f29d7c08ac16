"""The family vdvae: the density of z0, and the columns that it needs."""

import numpy as np
import pytest
import tensorflow as tf
from galsim import GalSimConfigError
from scipy import stats

from galsim_deep_training.families import make_family


def test_density_of_z0(family, columns):
    """A diagonal Gaussian given the columns."""
    values, latent = columns, np.random.default_rng(1).standard_normal((4, 6))
    prior = family.autoencoder.prior(values)
    expected = stats.norm.logpdf(
        latent, prior.mean[:, 0, 0], prior.scale[:, 0, 0]).sum(axis=-1)
    found = family.log_prob(tf.constant(latent, tf.float32), values)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_columns_are_needed(make_recipe):
    def change(content):
        content["columns"] = []
        content["fit"]["autoencoder"].update(model_error=0.0)
    with pytest.raises(GalSimConfigError, match="has no columns"):
        make_family(make_recipe(change, family="vdvae"))
