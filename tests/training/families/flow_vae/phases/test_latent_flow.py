"""The phase that fits the flows: the latents that it learns from, and its loss."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family


def the_phase(family, name):
    return next(phase for phase in family.phases if phase.name == name)


@pytest.mark.long
def test_the_flow_learns_from_the_deepest_stamps(make_recipe, data_file):
    """And from as many as it is told to."""
    dataset = Dataset(data_file)
    family = make_family(make_recipe(
        lambda content: content["fit"]["flow"].update(deepest_share=0.4)))
    family.prepare(dataset)
    flow = the_phase(family, "flow")
    rows = dataset.deepest(0.4)
    sigma, train = dataset.noise_sigma, dataset.train_indices
    assert len(rows) == round(0.4 * len(train)) and set(rows) < set(train)
    assert sigma[rows].max() <= np.delete(sigma[train], np.searchsorted(train, rows)).min()
    batch = next(flow.batches(dataset, 0))
    assert batch["latent"].shape[1] == sum(family.prior.sizes)


@pytest.mark.long
def test_the_flow_of_the_details_sees_a_blurred_vector(tiny, make_recipe, data_file):
    family, batch = tiny
    conditions = family.conditions(batch)
    latent = tf.random.stateless_normal([4, sum(family.prior.sizes)], (7, 8))
    blur = tf.random.stateless_normal([4, family.prior.sizes[0]], (9, 1))
    vector, details = tf.split(latent, family.prior.sizes, axis=-1)
    of_vector, of_details = family.prior.flows
    for by in (0.0, blur):
        expected = of_vector(conditions).log_prob(vector) + of_details(
            tf.concat([conditions, vector + by], axis=-1)).log_prob(details)
        np.testing.assert_allclose(
            family.prior.log_prob(latent, conditions, by), expected, rtol=1e-5)

    flow = the_phase(family, "flow")
    for by in (tf.zeros_like(blur), blur):
        loss, _ = flow.loss(dict(latent=latent, conditions=conditions, blur=by), tf.constant(0))
        np.testing.assert_allclose(
            loss, -np.mean(family.prior.log_prob(latent, conditions, by)), rtol=1e-5)

    def spread(**settings):
        other = make_family(make_recipe(lambda c: c["fit"]["flow"].update(settings)))
        flow = the_phase(other, "flow")
        dataset = Dataset(data_file)
        other.prepare(dataset)
        batches = itertools.islice(flow.batches(dataset, 0), 20)
        return np.std(np.concatenate([batch["blur"] for batch in batches]))

    assert spread() == 0.0
    assert spread(vector_jitter=0.5) == pytest.approx(0.5, rel=0.15)


@pytest.fixture(scope="module")
def phase(tiny):
    return the_phase(tiny[0], "flow")


@pytest.fixture
def latents(phase):
    """Of three galaxies; the posterior of the last has no width."""
    size, columns = sum(phase.family.prior.sizes), len(phase.family.recipe.columns)
    scale = np.full((3, size), 0.5, np.float32)
    scale[2] = 0.0
    return dict(mean=np.float32([[0.0], [10.0], [20.0]]) * np.ones((1, size), np.float32),
                scale=scale, conditions=np.arange(3.0, dtype=np.float32)[:, None]
                * np.ones((1, columns), np.float32))


def test_a_batch_is_drawn_from_the_posteriors(phase, latents, monkeypatch):
    monkeypatch.setitem(phase.family.fit, "flow", phase.flow_settings.model_copy(
        update=dict(column_jitter=0.0)))
    monkeypatch.setattr(
        phase, "settings", phase.settings.model_copy(update=dict(batch_size=600)))
    batch = phase.draw(latents, np.random.default_rng(1))
    galaxy = batch["conditions"][:, 0]
    assert set(galaxy) == {0, 1, 2}
    residual = batch["latent"] - 10 * galaxy[:, None]
    assert residual[galaxy < 2].std() == pytest.approx(0.5, rel=0.05)
    assert np.all(residual[galaxy == 2] == 0)
    assert batch["blur"].shape == (600, phase.family.autoencoder.vector_size)
    assert np.all(batch["blur"] == 0)
    again = phase.draw(latents, np.random.default_rng(1))
    for name, value in batch.items():
        np.testing.assert_array_equal(again[name], value)


def test_jitter_of_the_columns(phase, latents, monkeypatch):
    monkeypatch.setitem(phase.family.fit, "flow", phase.flow_settings.model_copy(
        update=dict(column_jitter=0.1)))
    monkeypatch.setattr(
        phase, "settings", phase.settings.model_copy(update=dict(batch_size=600)))
    conditions = phase.draw(latents, np.random.default_rng(1))["conditions"]
    assert (conditions - conditions.round()).std() == pytest.approx(0.1, rel=0.05)
