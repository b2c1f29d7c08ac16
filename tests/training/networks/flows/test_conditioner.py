"""The network of a layer: start, seeds and masks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows.conditioner import Conditioner

X = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)
CONDITIONS = np.random.default_rng(2).standard_normal((6, 2)).astype(np.float32)


def test_starts_with_zeros():
    np.testing.assert_array_equal(Conditioner((8, 8), 3)(X, CONDITIONS), np.zeros((6, 3)))


def test_output_initializer():
    conditioner = Conditioner((8, 8), 3, output_initializer="glorot_uniform")
    assert np.ptp(conditioner(X, CONDITIONS)) > 0


def test_no_inputs_but_conditions():
    conditioner = Conditioner((8,), 3, output_initializer="glorot_uniform")
    y = conditioner(X[:, :0], CONDITIONS)
    assert y.shape == (6, 3) and np.std(y, axis=0).min() > 0


@pytest.mark.parametrize("seed, same", [(3, True), (None, False)])
def test_seed_determines_the_weights(seed, same):
    kernels = []
    for number in (1, 2):
        keras.utils.set_random_seed(number)
        conditioner = Conditioner((8,), 3, seed=seed)
        conditioner(X, CONDITIONS)
        kernels.append(conditioner.layer_weights[0][0].numpy())
    assert np.array_equal(*kernels) == same


def test_masked_inputs_have_no_effect_and_conditions_have():
    masks = [np.tile([[True], [False], [True], [False]], (1, 8)), np.ones((8, 3), bool)]
    conditioner = Conditioner((8,), 3, masks, output_initializer="glorot_uniform")
    before = conditioner(X, CONDITIONS)
    for column, changes in enumerate([True, False, True, False]):
        changed = X.copy()
        changed[:, column] += 1.0
        assert np.array_equal(conditioner(changed, CONDITIONS), before) != changes
    assert not np.array_equal(conditioner(X, CONDITIONS + 1.0), before)


def test_gradients_do_not_reach_masked_weights():
    masks = [np.zeros((4, 8), bool), np.ones((8, 3), bool)]
    conditioner = Conditioner((8,), 3, masks, output_initializer="glorot_uniform")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(conditioner(X, CONDITIONS) ** 2)
    gradient = tape.gradient(loss, conditioner.layer_weights[0][0].value).numpy()
    np.testing.assert_array_equal(gradient[:4], 0.0)
    assert np.abs(gradient[4:]).max() > 0
