"""The phase that matches sampled light profiles to observed ones."""

import galsim
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import choose_family, make_family
from galsim_deep_training.families.flow_vae.appearance import NAMES


@pytest.fixture(scope="module")
def begun(recipe, data_file, awaken):
    """A phase that has measured its reference, and its first batch."""
    family, dataset = make_family(recipe), Dataset(data_file)
    family.prepare(dataset)
    for network in family.networks.values():
        awaken(network, size=0.05)
    phase = next(phase for phase in family.phases if phase.name == "matching")
    return phase, dataset, next(phase.batches(dataset, 0))


def test_the_reference_is_standardised(begun):
    """The trend with the columns is subtracted, and each statistic is in units of its scatter."""
    phase, dataset, _ = begun
    reference = phase._reference(phase.latents(dataset))
    assert reference["reference/statistics"].shape == (len(dataset.train_indices), len(NAMES))
    np.testing.assert_allclose(reference["reference/statistics"].mean(axis=0), 0, atol=1e-2)
    np.testing.assert_allclose(reference["reference/statistics"].std(axis=0), 1, atol=1e-2)
    for column in reference["reference/conditions"].T:
        np.testing.assert_allclose(
            reference["reference/statistics"].T @ (column - column.mean()), 0,
            atol=0.02 * len(column))


@pytest.mark.long
def test_batches_depend_on_their_number_alone(begun):
    phase, dataset, first = begun
    again = next(phase.batches(dataset, 0))
    later = next(phase.batches(dataset, 1))
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert np.any(later["reference/statistics"] != first["reference/statistics"])
    assert np.any(later["latent"] != first["latent"])


def test_samples_that_look_otherwise_are_further_away(begun):
    phase, dataset, batch = begun
    statistics, conditions = batch["reference/statistics"], batch["reference/conditions"]
    rng = np.random.default_rng(1)
    shuffled = statistics[rng.permutation(len(statistics))]
    distances = [float(phase._distance(tf.constant(sampled, tf.float32), statistics, conditions))
                 for sampled in (shuffled, shuffled + 0.7, shuffled + 1.5)]
    assert distances[0] < distances[1] < distances[2]


@pytest.mark.long
def test_a_step_brings_samples_nearer(begun, monkeypatch):
    """With the likelihood out of the way, and the same random numbers in each step."""
    phase, dataset, batch = begun
    batch = {name: tf.constant(value) for name, value in batch.items()}
    normal = phase.normal
    monkeypatch.setattr(phase, "normal", lambda number, *size: normal(tf.constant(0), *size))
    monkeypatch.setattr(phase, "_negative_log_likelihood", lambda *args: tf.constant(0.0))
    before = [variable.numpy() for variable in phase.variables]
    try:
        distances = [float(phase.step(batch, tf.constant(number))["distance"])
                     for number in range(12)]
    finally:
        for variable, value in zip(phase.variables, before, strict=True):
            variable.assign(value)
    assert np.isfinite(distances).all() and distances[-1] < distances[0] - 0.01


def test_sizes_have_to_be_known(make_recipe):
    recipe = make_recipe(lambda content: (
        content["model"].update(
            autoencoder=dict(kind="lanusse2021", stages=3, depth=4, max_depth=8)),
        content["columns"][0].update(quantity="other"),
        content["fit"].pop("structure"), content["fit"]["autoencoder"].update(model_error=0)))
    with pytest.raises(galsim.GalSimConfigError, match="half_light_radius.*phase 'matching' needs"):
        choose_family(recipe)


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_gradients_through_a_decoder_in_float16_are_scaled(make_recipe, precision):
    phases = {phase.name: phase for phase in make_family(make_recipe(), precision).phases}
    assert phases["matching"].optimiser_step.loss_scale.active == (precision == "mixed_float16")


def test_too_few_to_compare(make_recipe):
    recipe = make_recipe(lambda content: content["fit"]["matching"].update(batch_size=4))
    with pytest.raises(galsim.GalSimConfigError, match="fit.matching.batch_size, is 4"):
        choose_family(recipe)


@pytest.mark.long
def test_too_few_to_learn_from(begun):
    phase, dataset, _ = begun
    latents = phase.latents(dataset)
    few = {name: latents[name][:7] for name in ("mean", "scale", "conditions")}
    few["columns"] = {name: values[:7] for name, values in latents["columns"].items()}
    with pytest.raises(galsim.GalSimError, match="has 7 training stamps .* needs 14"):
        phase._reference(few)
