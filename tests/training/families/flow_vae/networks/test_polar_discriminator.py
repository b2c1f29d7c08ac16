"""The discriminator of polar views."""

import numpy as np
import tensorflow as tf

from galsim_deep_training.families.flow_vae.networks.polar_discriminator import PolarDiscriminator


def test_everything_that_it_is_told_counts(awaken):
    discriminator = PolarDiscriminator(channels=(4, 6, 6), hidden=8)
    rng = np.random.default_rng(1)
    inputs = [tf.constant(rng.standard_normal(shape), tf.float32)
              for shape in ((2, 16, 32, 3), (2, 4), (2, 32))]
    discriminator(*inputs)
    awaken(discriminator)
    before = discriminator(*inputs).numpy()
    assert before.shape == (2,)
    for number in range(3):
        other = list(inputs)
        other[number] = 1.5 * other[number] + 0.5
        assert np.all(np.abs(discriminator(*other) - before) > 1e-6)


def test_the_place_of_the_first_column_hardly_counts_for_patches(awaken):
    """They see the columns as periodic."""
    discriminator = PolarDiscriminator(channels=(4, 6, 6), hidden=8)
    maps = tf.constant(np.random.default_rng(2).standard_normal((2, 16, 32, 3)), tf.float32)
    conditions, rings = tf.zeros([2, 4]), tf.zeros([2, 32])
    discriminator(maps, conditions, rings)
    awaken(discriminator)
    for layer in discriminator.whole.layers:
        layer.set_weights([np.zeros_like(values) for values in layer.get_weights()])
    np.testing.assert_allclose(discriminator(tf.roll(maps, 8, axis=2), conditions, rings),
                               discriminator(maps, conditions, rings), atol=1e-5)
