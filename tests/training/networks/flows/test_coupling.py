"""Coupling flows: which outputs depend on which inputs."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows.coupling import CouplingFlow
from galsim_deep_training.networks.flows.transforms import AffineTransform, SplineTransform

UNIVARIATE = [AffineTransform(), SplineTransform(bins=4)]


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def test_needs_two_dimensions():
    with pytest.raises(galsim.GalSimConfigError):
        CouplingFlow(AffineTransform(), 1, layers=2, hidden=8)


@pytest.mark.parametrize("univariate", UNIVARIATE, ids=repr)
@pytest.mark.parametrize("size", [2, 5])
def test_a_layer_keeps_the_first_half(univariate, size, awaken):
    flow = CouplingFlow(univariate, size, layers=1, hidden=8)
    flow.build((None, 3))
    awaken(flow, size=0.3)
    x, conditions = normal(20, size), normal(20, 3, seed=1)
    coupling = flow.layers_of(conditions)[1]
    y = coupling.forward(x)
    np.testing.assert_array_equal(y[:, :size // 2], x[:, :size // 2])
    assert np.all(np.abs(y - x)[:, size // 2:].max(axis=0) > 1e-3)


@pytest.mark.parametrize("univariate", UNIVARIATE, ids=repr)
def test_only_local_functions_need_a_final_transformation(univariate):
    flow = CouplingFlow(univariate, 4, layers=3, hidden=8)
    assert (flow.final is not None) == univariate.is_local
    assert len(flow.transforms(tf.ones([1, 2]))) == 6 + univariate.is_local
