"""The phase in which a discriminator compares sampled galaxies with observed ones."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family


@pytest.fixture(scope="module")
def begun(make_recipe, data_file):
    """The phase, and its first batch."""
    family = make_family(make_recipe(family="flow_vae_polar"))
    dataset = Dataset(data_file)
    family.prepare(dataset)
    phase = next(phase for phase in family.phases if phase.name == "adversarial")
    batch = next(phase.batches(dataset, 0))
    return phase, {name: tf.constant(value) for name, value in batch.items()}


def values(networks):
    return {name: [np.array(variable.value) for variable in network.variables]
            for name, network in networks.items()}


@pytest.mark.long
def test_a_step(begun, without_graphs):
    """It moves discriminator and structure, and neither encoder, posterior, envelope nor flow."""
    phase, batch = begun
    family = phase.family
    networks = dict(family.networks, discriminator=phase.discriminator)
    before = values(networks)
    moving = {id(variable) for variable in family.autoencoder.decoder.structure_variables}
    for step in (0, 1):  # the learning rate of the first step is zero
        scalars = phase.step(batch, tf.constant(step))
    assert all(np.isfinite(value) for value in scalars.values())
    for name, network in networks.items():
        for variable, value in zip(network.variables, before[name], strict=True):
            may_move = id(variable) in moving or name == "discriminator"
            assert may_move or np.array_equal(variable.value, value), f"{name} {variable.path}"
    assert any(not np.array_equal(variable.value, value) for variable, value in zip(
        phase.discriminator.variables, before["discriminator"], strict=True))
    decoder = networks["decoder"]
    assert any(not np.array_equal(variable.value, value) for variable, value in zip(
        decoder.variables, before["decoder"], strict=True))


def test_sampled_galaxies_are_observed_like_the_batch(begun):
    phase, batch = begun
    stamps = phase.sampled(batch, tf.constant(3)).numpy()
    assert stamps.shape == batch["stamp"].shape and np.isfinite(stamps).all()
    np.testing.assert_array_equal(stamps, phase.sampled(batch, tf.constant(3)))
    flux = phase.family.recipe.flux({name: value.numpy() for name, value in batch.items()})
    error = 32 * batch["noise_sigma"].numpy() * 3
    assert np.all(np.abs(stamps.sum(axis=(1, 2)) - flux) < 5 * error + 0.3 * flux)


def test_it_needs_polar_views(make_recipe):
    def change(content):
        content["fit"]["adversarial"] = dict(steps=10, batch_size=6)

    with pytest.raises(galsim.GalSimConfigError, match="polar_frame"):
        make_family(make_recipe(change))
