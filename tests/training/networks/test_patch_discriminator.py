"""The discriminator of polar grids."""

import numpy as np
import tensorflow as tf

from galsim_deep_training.networks.patch_discriminator import PatchDiscriminator


def test_scores_depend_on_images_and_conditions():
    discriminator = PatchDiscriminator(channels=(2, 4, 6, 8), hidden=8)
    rng = np.random.default_rng(1)
    images = tf.constant(rng.standard_normal((4, 16, 32, 3)), tf.float32)
    conditions = tf.constant(rng.standard_normal((4, 2)), tf.float32)
    scores = discriminator(images, conditions).numpy()
    assert scores.shape == (4,) and len(set(scores)) == 4
    assert not np.allclose(discriminator(images, conditions + 1.0), scores)
    # Each image by itself.
    np.testing.assert_allclose(discriminator(images[:1], conditions[:1]), scores[:1], rtol=1e-4)


def test_patches_wrap():
    """Before the dense layers, no place of the ring is special, but for the steps of the pooling.
    """
    discriminator = PatchDiscriminator(channels=(2, 4, 6, 8), hidden=8)
    images = tf.random.stateless_normal([1, 16, 32, 3], [1, 2])
    conditions = tf.zeros([1, 0])
    discriminator(images, conditions)
    for variable in discriminator.whole.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    scores = [float(discriminator(tf.roll(images, shift, 2), conditions)[0])
              for shift in (0, 8, 16)]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-4)
