"""Neural spline flow: layers that are the identity outside of an interval."""

import numpy as np
import pydantic
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows.spline_coupling import SplineCouplingFlow


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def test_settings_of_the_splines():
    settings = SplineCouplingFlow.Settings()
    assert (settings.layers, settings.hidden, settings.bins, settings.bound) == (6, 128, 8, 5.0)
    flow = SplineCouplingFlow(SplineCouplingFlow.Settings(bins=3, bound=2), latent_size=4)
    assert (flow.univariate.bins, flow.univariate.bound) == (3, 2.0)
    # Widths and heights of three bins and the slopes between them, for two dimensions.
    assert flow.conditioners[0].widths == (128, 128, 16)


@pytest.mark.parametrize("wrong", [dict(bins=1), dict(bins=1001), dict(bound=0)])
def test_limits(wrong):
    with pytest.raises(pydantic.ValidationError, match=[*wrong][0]):
        SplineCouplingFlow.Settings(**wrong)


def test_a_layer_is_the_identity_outside_of_the_bound(awaken):
    flow = SplineCouplingFlow(
        SplineCouplingFlow.Settings(layers=1, hidden=8, bound=2.0), latent_size=4)
    flow.build((None, 3))
    awaken(flow, size=0.3)
    layer = flow.layers_of(normal(20, 3))[-1]
    x = normal(20, 4, seed=1).numpy()
    x[:, 2:] = np.clip(x[:, 2:], -1.9, 1.9)
    assert np.abs(layer.forward(tf.constant(x)) - x)[:, 2:].max() > 1e-3
    x[:, 2:] = 2.1 * np.sign(x[:, 2:])
    np.testing.assert_array_equal(layer.forward(tf.constant(x)), x)
