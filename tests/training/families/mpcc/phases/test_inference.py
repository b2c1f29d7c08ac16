"""The phase ``inference``: the encoder alone is fitted, to the final generator."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.spectral import SpectralConv, SpectralDense, layers_of


@pytest.mark.long
def test_it_moves_the_encoder_only(make, values):
    family, dataset = make("own trunk")
    phase = family.phases[1]
    networks = dict(family.networks, trunk=family.trunk, discriminator=family.discriminator)
    before = values(networks)
    batch = next(phase.batches(dataset, 0))
    for number in range(2):  # the learning rate of the first step is zero
        phase.step({name: tf.constant(value) for name, value in batch.items()},
                   tf.constant(number))
    after = values(networks)
    moved = {path.split("/")[0] for path in before if np.any(before[path] != after[path])}
    assert moved == {"encoder", "encoder_trunk"}


@pytest.mark.long
def test_its_spectral_norms_are_divided_out(fit_of):
    _, family = fit_of("unconditional")
    for network in (family.encoder, family.encoder_trunk):
        layers = layers_of(network, (SpectralConv, SpectralDense))
        assert layers and all(float(layer.norm) == 1.0 for layer in layers)
