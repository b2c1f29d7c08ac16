import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.losses import (
    class_surprise,
    deceive,
    latent_surprise,
    prior_regulariser,
    tell_apart,
    unevenness,
)


def test_hinge():
    assert float(tell_apart(tf.constant([0.5]), tf.constant([-2.0]))) == pytest.approx(0.5)
    # Beyond the margin there is nothing to gain.
    assert float(tell_apart(tf.constant([1.5, 3.0]), tf.constant([-1.0, -9.0]))) == 0.0
    assert float(tell_apart(tf.constant([-1.0]), tf.constant([1.0]))) == pytest.approx(4.0)
    assert float(deceive(tf.constant([0.5, -1.5]))) == pytest.approx(0.5)


def test_discriminator_and_generator_pull_opposite_ways():
    made = tf.Variable([0.3])
    with tf.GradientTape(persistent=True) as tape:
        apart, deceived = tell_apart(tf.constant([0.0]), made), deceive(made)
    assert float(tape.gradient(apart, made)[0]) == 1.0
    assert float(tape.gradient(deceived, made)[0]) == -1.0


def test_latent_surprise():
    one = tf.ones([1, 1])
    assert float(latent_surprise(one, 0 * one, one)[0]) == pytest.approx(1.4189, abs=1e-4)


def test_latent_surprise_is_minus_the_log_density():
    from scipy import stats

    rng = np.random.default_rng(2)
    latent, mean = rng.standard_normal((2, 5, 3)).astype(np.float32)
    scale = rng.uniform(0.2, 2, (5, 3)).astype(np.float32)
    expected = -stats.norm.logpdf(latent, mean, scale).sum(axis=1)
    np.testing.assert_allclose(latent_surprise(latent, mean, scale), expected, rtol=1e-5)


def test_class_surprise():
    membership = np.log([[0.2689, 0.7311]]).astype(np.float32)
    assert float(class_surprise(tf.constant([[0.0, 1.0]]), membership)[0]) == pytest.approx(
        0.3133, abs=1e-4)


def test_regulariser():
    shares, deviation = tf.constant([[0.5, 0.5]]), tf.ones([1, 2, 2])
    assert float(prior_regulariser(shares, deviation, per_dimension=False)) == pytest.approx(
        -3.5310, abs=1e-4)
    assert float(prior_regulariser(shares, deviation)) == pytest.approx(
        -0.6931 - 2.8379 / 2, abs=1e-4)


def test_regulariser_makes_classes_wider():
    deviation = tf.Variable(tf.ones([1, 3, 4]))
    with tf.GradientTape() as tape:
        loss = prior_regulariser(tf.fill([1, 3], 1 / 3), deviation)
    assert (tape.gradient(loss, deviation).numpy() < 0).all()


def test_unevenness():
    assert float(unevenness(tf.constant([1.0, 3.0]))) == pytest.approx(np.log(5 / 4))
    assert float(unevenness(tf.fill([7], 0.3))) == pytest.approx(0.0, abs=1e-6)
    # Of any unit.
    changes = np.random.default_rng(1).exponential(size=50).astype(np.float32)
    assert float(unevenness(1e-3 * changes)) == pytest.approx(float(unevenness(changes)), abs=1e-5)


def test_unevenness_is_of_leaps():
    """What goes from one end to the other all along changes evenly; what does so at once does not.
    """
    x = np.linspace(-2, 2, 400, dtype=np.float32)
    found = [float(unevenness(tf.square(np.tanh(steep * (x + 0.1)) - np.tanh(steep * x)) + 1e-6))
             for steep in (0.1, 1.0, 5.0, 50.0)]
    assert found == sorted(found) and found[0] < 0.01 and found[-1] > 2
