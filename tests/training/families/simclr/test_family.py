"""The loss of SimCLR."""

import numpy as np
import tensorflow as tf

from galsim_deep_training.families.simclr.family import nt_xent


def test_the_loss_against_its_formula():
    """Andrianomena 2023, eq. 3.4, term by term."""
    rng = np.random.default_rng(1)
    first, second, tau = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), 0.3
    z = np.concatenate([first, second])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    similarity = np.exp(z @ z.T / tau)
    losses = []
    for i in range(6):
        j = (i + 3) % 6
        others = sum(similarity[i, k] for k in range(6) if k != i)
        losses.append(-np.log(similarity[i, j] / others))
    found = nt_xent(tf.constant(first, tf.float32), tf.constant(second, tf.float32), tau)
    np.testing.assert_allclose(found, np.mean(losses), rtol=1e-5)


def test_the_loss_is_least_for_views_that_agree():
    z = tf.eye(4)
    agree = float(nt_xent(z, z, 0.1))
    assert agree < 0.01 < float(nt_xent(z, tf.roll(z, 1, axis=0), 0.1))
