"""The phase ``autoencoder`` of MPCC, and the bound in the phase ``adversarial``."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family

pytestmark = pytest.mark.long


@pytest.fixture
def polar(make_recipe, data_file):
    def make(change=lambda content: None):
        family, dataset = make_family(make_recipe(change, family="mpcc_polar")), Dataset(data_file)
        family.prepare(dataset)
        return family, dataset
    return make


def steps(phase, dataset, count=3):
    batches = phase.batches(dataset, 0)
    return [phase.step({name: tf.constant(value) for name, value in next(batches).items()},
                       tf.constant(number)) for number in range(count)]


def moved(before, after):
    return {path.split("/")[0] for path in before if np.any(before[path] != after[path])}


def test_it_moves_all_but_the_discriminator(polar, values):
    family, dataset = polar()
    phase = family.phases[0]
    assert phase.name == "autoencoder"
    networks = dict(family.networks, trunk=family.trunk, discriminator=family.discriminator)
    before = values(networks)
    scalars = steps(phase, dataset)[-1]
    assert all(np.isfinite(value) for value in scalars.values())
    assert moved(before, values(networks)) == {"generator", "prior", "encoder", "encoder_trunk"}


def test_stamps_are_reproduced_better(polar):
    """Than before, on the same stamps."""
    def change(content):
        content["fit"]["autoencoder"].update(steps=60, learning_rate=0.003, model_error=0.0)

    family, dataset = polar(change)
    phase = family.phases[0]
    batch = {name: tf.constant(value)
             for name, value in dataset.read(dataset.train_indices).items()}
    before = phase.evaluate(batch)
    steps(phase, dataset, 60)
    after = phase.evaluate(batch)
    assert after["chi_square"] < before["chi_square"]


def test_the_deepest_stamps(polar):
    family, dataset = polar(
        lambda content: content["fit"]["autoencoder"].update(deepest_share=0.25))
    batches = family.phases[0].batches(dataset, 0)
    noise = np.concatenate([next(batches)["noise_sigma"] for _ in range(12)])
    assert set(noise) == set(dataset.noise_sigma[dataset.deepest(0.25)])


@pytest.mark.parametrize("kind", ["patches", "projection"])
def test_the_adversarial_phase_keeps_the_bound(kind, polar, values):
    """The encoder then learns from observed stamps as well, in the step of the generator."""
    def change(content):
        content["model"]["discriminator"].update(kind=kind)
        # These move the encoder too.
        content["fit"]["adversarial"].update(latent_weight=0.0, class_weight=0.0, evenness=0.0)

    family, dataset = polar(change)
    phase = family.phases[1]
    assert {"kl", "chi_square", "unbalance"} <= set(steps(phase, dataset)[-1])
    idle = type("Idle", (), dict(step=lambda self, loss: (0.0, {}, 0.0)))()
    phase.optimiser_steps.update(discriminator=idle, encoder=idle, prior=idle)
    before = values(phase.networks)
    steps(phase, dataset)
    assert {"generator", "encoder", "encoder_trunk"} <= moved(before, values(phase.networks))


def test_the_discriminator_of_patches_is_fitted_on_pairs(polar, values):
    """It alone is moved by its loss, with a penalty that is not zero; its trunk is not used."""
    family, dataset = polar()
    phase = family.phases[1]
    assert "trunk" not in phase.networks
    idle = type("Idle", (), dict(step=lambda self, loss: (0.0, {}, 0.0)))()
    phase.optimiser_steps.update(generator=idle, encoder=idle, prior=idle)
    before = values(phase.networks)
    scalars = steps(phase, dataset)[-1]
    assert moved(before, values(phase.networks)) == {"discriminator"}
    assert float(scalars["penalty"]) > 0 and float(scalars["pairs"]) > 0


@pytest.mark.parametrize("name", ["latent_weight", "class_weight"])
def test_the_losses_of_the_encoder_reach_the_generator(name, polar, values):
    """If they are asked for: with all other weights zero, the generator still moves."""
    for weight in (0.0, 1.0):
        weights = dict(latent_weight=0.0, class_weight=0.0, elbo=0.0, evenness=0.0)
        weights[name] = weight
        family, dataset = polar(lambda content: content["fit"]["adversarial"].update(
            weights))  # noqa: B023 - called at once
        phase = family.phases[1]
        idle = type("Idle", (), dict(step=lambda self, loss: (0.0, {}, 0.0)))()
        phase.optimiser_steps.update(discriminator=idle, encoder=idle, prior=idle)
        phase._discriminate = lambda views, *_: 0.0 * tf.reduce_sum(views[0], axis=[1, 2, 3])
        before = values(phase.networks)
        steps(phase, dataset)
        assert ("generator" in moved(before, values(phase.networks))) == (weight > 0)


@pytest.mark.parametrize("change, message", [
    (lambda content: content["fit"].pop("autoencoder"), "elbo.*needs a phase 'autoencoder'"),
    (lambda content: content["model"]["classes"].update(supervised=True), "not labels"),
    (lambda content: content["model"].update(canvas=dict(kind="plain")), "polar_frame"),
    (lambda content: content["model"]["encoder"].update(share_trunk=True), "share_trunk: false"),
])
def test_settings_that_do_not_fit(change, message, make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match=message):
        make_family(make_recipe(change, family="mpcc_polar"))
