"""The discriminator of stamps."""

import numpy as np
import tensorflow as tf

from galsim_deep_training.families.vdvae.discriminator import StampDiscriminator


def test_it_sees_stamps_and_conditions(awaken):
    discriminator = StampDiscriminator(channels=(4, 4, 4), hidden=8)
    maps = tf.random.stateless_normal([3, 16, 16, 2], [1, 2])
    conditions = tf.random.stateless_normal([3, 2], [3, 4])
    discriminator(maps, conditions)
    awaken(discriminator)
    scores = discriminator(maps, conditions).numpy()
    assert scores.shape == (3,) and np.ptp(scores) > 0
    # Each source has its own score.
    changed = discriminator(tf.concat([maps[:1] + 1.0, maps[1:]], axis=0), conditions).numpy()
    assert changed[0] != scores[0]
    np.testing.assert_allclose(changed[1:], scores[1:], rtol=1e-5, atol=1e-6)
    assert (discriminator(maps, conditions + 1.0).numpy() != scores).all()
