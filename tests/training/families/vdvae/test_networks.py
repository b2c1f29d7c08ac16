"""The networks of the very deep VAE."""

import numpy as np
import pytest
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep_training.families.vdvae.networks import (
    BottomUp,
    TopDown,
    TopDownBlock,
    stage_sizes,
)
from galsim_deep_training.families.vdvae.settings import VDVAESettings

SETTINGS = VDVAESettings(encoder_blocks=[1, 2, 1], decoder_blocks=[2, 2, 1], channels=[4, 6, 8],
                         details=[0, 2, 3], vector_size=5)


@pytest.fixture
def block(awaken):
    block = TopDownBlock(6, latents=2, single=False, gain=1.0)
    h, features = tf.ones([1, 4, 4, 6]), tf.ones([1, 4, 4, 3])
    block(h, features)
    awaken(block, size=0.3)
    return block


def normal(*shape, seed=1):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def test_the_paper_has_six_stages():
    settings = VDVAESettings()
    assert settings.encoder_blocks == (3, 3, 2, 2, 2, 1)
    assert settings.decoder_blocks == (5, 5, 4, 3, 2, 1)
    assert stage_sizes(64, settings) == [64, 32, 16, 8, 4, 1]


def test_number_of_blocks():
    decoder = TopDown(64, VDVAESettings())
    assert [len(stage) for stage in decoder.stages] == [5, 5, 4, 3, 2, 1]
    # z0, and the other blocks of all stages but the last two, which have no latents.
    assert decoder.shapes[0] == (1, 1, 256) and len(decoder.shapes) == 5 + 5 + 4 + 3


@pytest.mark.parametrize("size", [8, 40, 100])
def test_a_stamp_that_cannot_be_halved(size):
    with pytest.raises(GalSimConfigError, match=f"stamp.size is {size}.*multiple of 16"):
        BottomUp(size, VDVAESettings())


def test_kl_divergence(block):
    """That of a diagonal Gaussian from another one."""
    h, features = normal(3, 4, 4, 6), normal(3, 4, 4, 3, seed=2)
    _, prior = block(h)
    _, posterior = block(h, features)
    np.testing.assert_array_equal(prior.kl, np.zeros(3))
    ratio = posterior.scale / prior.scale
    distance = (posterior.mean - prior.mean) / prior.scale
    expected = (0.5 * (ratio**2 + distance**2 - 1.0) - np.log(ratio)).numpy().sum(axis=(1, 2, 3))
    np.testing.assert_allclose(posterior.kl, expected, rtol=1e-4)
    assert np.all(expected > 0)


def test_a_latent_is_drawn_from_its_distribution(block):
    h, features, noise = normal(2, 4, 4, 6), normal(2, 4, 4, 3, seed=2), normal(2, 4, 4, 2, seed=3)
    drawn, posterior = block(h, features, noise)
    fixed, _ = block(h, features, fixed=posterior.mean + posterior.scale * noise)
    np.testing.assert_allclose(drawn, fixed, rtol=1e-5, atol=1e-5)
    mean, _ = block(h, features)
    at_mean, _ = block(h, features, fixed=posterior.mean)
    np.testing.assert_allclose(mean, at_mean, rtol=1e-5, atol=1e-5)
    assert np.abs(drawn - mean).max() > 0.01


def test_some_latents_from_the_prior(block):
    """A galaxy that is chosen is as if it had no stamp; the others are as before."""
    h, features, noise = normal(2, 4, 4, 6), normal(2, 4, 4, 3, seed=2), normal(2, 4, 4, 2, seed=3)
    mixed, latent = block(h, features, noise, from_prior=tf.constant([1.0, 0.0]))
    blind, _ = block(h, normal=noise)
    seeing, seen = block(h, features, noise)
    np.testing.assert_allclose(mixed[0], blind[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mixed[1], seeing[1], rtol=1e-5, atol=1e-5)
    assert latent.kl[0] == 0.0 and latent.kl[1] == seen.kl[1] > 0.0


def test_z0_is_never_from_the_prior(awaken):
    decoder, encoder = TopDown(16, SETTINGS), BottomUp(16, SETTINGS)
    features = encoder(normal(2, 16, 16, 1))
    decoder(normal(2, 3), features)
    awaken(decoder)
    _, (first, *others) = decoder(normal(2, 3), features, from_prior=tf.ones([2]))
    assert np.all(first.kl > 0)
    assert all(np.all(latent.kl == 0) for latent in others) and len(others) == 3


def test_columns_and_every_latent_matter(awaken):
    decoder = TopDown(16, SETTINGS)
    conditions, zeros = normal(1, 3), [tf.zeros([1, *shape]) for shape in decoder.shapes]
    decoder(conditions)
    awaken(decoder, size=0.3)
    image, _ = decoder(conditions, normals=zeros)
    assert image.shape == (1, 16, 16)
    assert np.abs(decoder(conditions + 1.0, normals=zeros)[0] - image).max() > 1e-3
    for number in range(len(zeros)):
        others = list(zeros)
        others[number] = tf.ones_like(zeros[number])
        assert np.abs(decoder(conditions, normals=others)[0] - image).max() > 1e-4


def test_a_single_cell_makes_images_without_symmetry(awaken):
    """z0 alone must be able to tell where things are."""
    decoder = TopDown(16, SETTINGS)
    decoder(tf.ones([1, 3]))
    awaken(decoder, size=0.2)
    image = decoder(tf.ones([1, 3]))[0].numpy()[0]
    image -= image.mean()
    for other in (image[::-1], image[:, ::-1], image.T, image[::-1, ::-1]):
        assert np.sum(image * other) < 0.9 * np.sum(image**2)
