"""The fit of the very deep VAE, through clipped stamps."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families import make_family


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
