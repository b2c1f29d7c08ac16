"""Discriminator, encoder and their trunk: shapes, and how conditions enter."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.networks.discriminator import (
    Discriminator,
    LatentEncoder,
    Trunk,
)


@pytest.fixture
def features():
    return np.random.default_rng(1).standard_normal((4, 6, 6, 8)).astype(np.float32)


@pytest.mark.parametrize("halvings, side", [(0, 8), (1, 4), (2, 2)])
def test_trunk(halvings, side):
    images = [np.ones((3, 16, 16, 2), np.float32), np.ones((3, 16, 16, 2), np.float32)]
    assert Trunk(5, halvings, [(8, 2), (4, 4)])(images).shape == (3, side, side, 5)


def test_discriminator_without_conditions(features):
    discriminator = Discriminator(8, conditional=False)
    assert discriminator(features, tf.zeros([4, 0])).shape == (4,)
    assert discriminator.embed is None
    assert Discriminator(8, conditional=False, joint=16).joint is None


def test_projection_is_linear_in_the_conditions(features):
    discriminator = Discriminator(8, conditional=True)
    zero, one, two = (
        discriminator(features, value * tf.ones([4, 3])) for value in (0.0, 1.0, 2.0))
    assert np.abs(one - zero).max() > 1e-6
    np.testing.assert_allclose(two - zero, 2 * (one - zero), rtol=1e-3, atol=1e-6)


def test_joint_layer_is_not_linear_in_the_conditions(features):
    discriminator = Discriminator(8, conditional=True, joint=16)
    less, zero, more = (
        discriminator(features, value * tf.ones([4, 3])) for value in (-30.0, 0.0, 30.0))
    # Rounding errors of the projection are a hundred times smaller.
    assert np.abs(less + more - 2 * zero).max() > 1e-5 * np.abs(more - zero).max()


def test_latent_encoder(features):
    encoder = LatentEncoder(5, 8, 6, 16)
    mean, scale = encoder(features, tf.zeros([4, 2]))
    assert mean.shape == scale.shape == (4, 5)
    assert (scale.numpy() > 0).all()
    assert len(encoder.blocks) == 1  # 6 cells become 3
