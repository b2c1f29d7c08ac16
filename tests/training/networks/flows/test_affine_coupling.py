"""Real NVP: its defaults, and layers that are affine functions."""

import numpy as np
import tensorflow as tf

from galsim_deep_training.networks.flows.affine_coupling import AffineCouplingFlow


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def test_defaults():
    settings = AffineCouplingFlow.Settings()
    assert (settings.layers, settings.hidden) == (10, 128)
    flow = AffineCouplingFlow(settings, latent_size=5)
    assert len(flow.conditioners) == len(flow.permutations) == 10
    # Scale and shift of the three dimensions that a layer transforms.
    assert flow.conditioners[0].widths == (128, 128, 6)


def test_a_layer_is_affine(awaken):
    """In the half that it transforms, at a fixed other half."""
    flow = AffineCouplingFlow(AffineCouplingFlow.Settings(layers=1, hidden=8), latent_size=4)
    flow.build((None, 3))
    awaken(flow, size=0.3)
    layer = flow.layers_of(normal(6, 3))[-1]
    kept, step = normal(6, 2, seed=1), normal(6, 2, seed=2)
    outputs = [layer.forward(tf.concat([kept, factor * step], axis=1)).numpy()
               for factor in (0.0, 1.0, 30.0)]
    slope = outputs[1] - outputs[0]
    np.testing.assert_allclose(outputs[2] - outputs[0], 30 * slope, rtol=1e-4, atol=1e-4)
    assert np.abs(slope[:, 2:] / step - 1).max() > 1e-3
