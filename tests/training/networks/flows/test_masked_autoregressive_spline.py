"""Autoregressive neural spline flow: its splines, and latents of one dimension."""

import numpy as np
import pydantic
import pytest
import tensorflow as tf

from galsim_deep_training.networks.flows.masked_autoregressive_spline import (
    MaskedAutoregressiveSplineFlow,
)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def make(latent_size, **settings):
    return MaskedAutoregressiveSplineFlow(
        MaskedAutoregressiveSplineFlow.Settings(**settings), latent_size)


def test_settings_of_the_splines():
    flow = make(4)
    assert (len(flow.conditioners), flow.univariate.bins, flow.univariate.bound) == (4, 8, 5.0)
    flow = make(4, layers=2, hidden=8, bins=3, bound=2)
    assert (len(flow.conditioners), flow.univariate.bins, flow.univariate.bound) == (2, 3, 2.0)
    # Splines leave outliers where they are; these are moved by an affine function at the end.
    assert flow.final is not None


@pytest.mark.parametrize("wrong", [dict(bins=1), dict(bound=0), dict(layers=0)])
def test_limits(wrong):
    with pytest.raises(pydantic.ValidationError, match=[*wrong][0]):
        MaskedAutoregressiveSplineFlow.Settings(**wrong)


def test_one_dimension(awaken):
    """There is nothing to couple, and the density is still normalised."""
    flow = make(1, layers=2, hidden=8, bins=4)
    flow.build((None, 2))
    awaken(flow, size=0.05)
    z = np.linspace(-12, 12, 2401, dtype=np.float32)[:, None]
    density = np.exp(flow(tf.repeat(normal(1, 2), len(z), axis=0)).log_prob(z).numpy())
    assert density.sum() * 0.01 == pytest.approx(1.0, abs=1e-3)
