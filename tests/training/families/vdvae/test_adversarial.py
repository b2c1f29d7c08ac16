"""The phase in which a discriminator compares sampled sources with observed ones."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family


@pytest.fixture(scope="module")
def phase(make_recipe, data_file):
    family = make_family(make_recipe(family="vdvae"))
    family.prepare(Dataset(data_file))
    return next(phase for phase in family.phases if phase.name == "adversarial")


def values(network):
    return [variable.numpy() for variable in network.variables]


@pytest.mark.long
def test_a_step_moves_all_networks(phase, batch, without_graphs):
    networks = dict(phase.networks, discriminator=phase.discriminator)
    before = {name: values(network) for name, network in networks.items()}
    imputation = values(phase.family.imputation)
    for step in (0, 1):  # the learning rate of the first step is zero
        scalars = phase.step(batch, tf.constant(step))
    assert all(np.isfinite(value) for value in scalars.values())
    for name, network in networks.items():
        assert any(np.any(new != old) for new, old in zip(
            values(network), before[name], strict=True)), name
    for new, old in zip(values(phase.family.imputation), imputation, strict=True):
        np.testing.assert_array_equal(new, old)


def test_sampled_sources_are_observed_like_the_batch(phase, batch):
    stamps = phase.sampled(batch, tf.constant(3)).numpy()
    assert stamps.shape == batch["stamp"].shape and np.isfinite(stamps).all()
    np.testing.assert_array_equal(stamps, phase.sampled(batch, tf.constant(3)))
    assert np.abs(stamps - phase.sampled(batch, tf.constant(4))).max() > 0


def test_sampled_sources_are_clipped_as_the_stamps(phase, batch):
    clipping = phase.family.clipping
    clipping.threshold.assign(3.0)
    clipping.peak.assign(5.0)
    try:
        stamps = phase.sampled(batch, tf.constant(3)).numpy()
    finally:
        clipping.threshold.assign(0.0)
        clipping.peak.assign(0.0)
    signal = stamps / batch["noise_sigma"].numpy()[:, None, None]
    assert (signal == 0).any() and (signal > 5).any()
    assert (signal[signal != 0] > 3).all()
