"""Autoregressive flows: which outputs depend on which inputs."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows.autoregressive import (
    AutoregressiveFlow,
    autoregressive_masks,
)
from galsim_deep_training.networks.flows.transforms import AffineTransform, SplineTransform

UNIVARIATE = [AffineTransform(), SplineTransform(bins=4)]


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


@pytest.mark.parametrize("hidden", [(6,), (6, 6), (5, 7, 9)])
def test_masks_connect_each_output_to_the_inputs_before_it(hidden):
    masks = autoregressive_masks(3, hidden, outputs=2)
    assert [mask.shape for mask in masks] == list(
        zip((3, *hidden), (*hidden, 6), strict=True))
    connected = np.linalg.multi_dot([mask.astype(int) for mask in masks]) > 0
    np.testing.assert_array_equal(connected[:, ::2], np.triu(np.ones((3, 3)), 1) > 0)
    np.testing.assert_array_equal(connected[:, ::2], connected[:, 1::2])


@pytest.mark.parametrize("univariate", UNIVARIATE, ids=repr)
@pytest.mark.parametrize("size", [1, 5])
def test_jacobian_of_a_layer_is_triangular(univariate, size, awaken):
    flow = AutoregressiveFlow(univariate, size, layers=1, hidden=32)
    flow.build((None, 3))
    awaken(flow, size=0.3)
    z, conditions = normal(20, size), normal(20, 3, seed=1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        columns = tf.unstack(flow.bijector(conditions).inverse(z), axis=-1)
    slopes = np.abs([tape.gradient(column, z) for column in columns]).max(axis=1)
    np.testing.assert_array_equal(np.triu(slopes, 1), 0.0)
    assert np.all(slopes[np.tril_indices(size)] > 1e-5)


def test_permutations_are_random_and_reversing_in_turn():
    flow = AutoregressiveFlow(AffineTransform(), 5, layers=5, hidden=8)
    assert len(flow.permutations) == 4
    for number in (1, 3):
        np.testing.assert_array_equal(flow.permutations[number], [4, 3, 2, 1, 0])


