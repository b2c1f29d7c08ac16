"""The phase that fits the density of embeddings: its batches, its loss and what it logs."""

import galsim
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from galsim_deep_training.families.maf.density import embeddings_of, log_normal


def the_phase(family):
    (phase,) = family.phases
    return phase


def test_batches_are_the_training_set_once_in_each_epoch(maf_recipe, prepared, gaussian):
    recipe = maf_recipe(fit=dict(batch_size=100, jitter=0.0))
    family = prepared(recipe)
    batches = the_phase(family).batches(gaussian, 0)
    seen = np.concatenate([next(batches)["whitened"] for _ in range(3)])
    expected = family.whitening(gaussian.embedding[gaussian.train_indices]).numpy()
    np.testing.assert_array_equal(seen[np.lexsort(seen.T)], expected[np.lexsort(expected.T)])


def test_jitter_is_independent_noise_of_its_size(maf_recipe, prepared, gaussian):
    quiet, noisy = (the_phase(prepared(maf_recipe(fit=dict(batch_size=300, jitter=jitter))))
                    for jitter in (0.0, 0.5))
    differences = [next(noisy.batches(gaussian, start))["whitened"]
                   - next(quiet.batches(gaussian, start))["whitened"] for start in (0, 1)]
    for difference in differences:
        assert difference.std() == pytest.approx(0.5, rel=0.1)
    assert abs(np.corrcoef(*[difference.ravel() for difference in differences])[0, 1]) < 0.15


def test_columns_go_with_their_embeddings(maf_recipe, prepared, gaussian):
    family = prepared(maf_recipe(conditional=True, fit=dict(batch_size=300, jitter=0.0)))
    batch, rows = next(the_phase(family).batches(gaussian, 0)), gaussian.train_indices
    expected = np.concatenate([
        family.whitening(gaussian.embedding[rows]),
        family.conditions({name: values[rows] for name, values in gaussian.columns.items()})],
        axis=1)
    found = np.concatenate([batch["whitened"], batch["conditions"]], axis=1)
    np.testing.assert_allclose(
        found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], atol=1e-6)


def test_loss_is_that_of_the_embeddings_themselves(maf_recipe, prepared, gaussian):
    """The loss of a batch without jitter, and that of the evaluation, which whitens by itself."""
    family = prepared(maf_recipe(fit=dict(batch_size=300, jitter=0.0)))
    phase, rows = the_phase(family), gaussian.train_indices
    batch = {name: tf.constant(value) for name, value in next(phase.batches(gaussian, 0)).items()}
    values = gaussian.embedding[rows].astype(float)
    expected = -multivariate_normal(
        values.mean(axis=0), np.cov(values, rowvar=False, bias=True)).logpdf(values).mean()
    assert float(phase.loss(batch, tf.constant(0))[0]) == pytest.approx(expected, abs=1e-3)
    evaluation = phase.evaluate(gaussian.read(rows))
    assert float(evaluation["negative_log_likelihood"]) == pytest.approx(expected, abs=1e-3)
    assert float(evaluation["gain_over_gaussian"]) == pytest.approx(0.0, abs=1e-4)


def test_gain_over_a_gaussian(maf_recipe, prepared, gaussian, awaken):
    family = prepared(maf_recipe())
    before = the_phase(family).evaluate(gaussian.read(gaussian.test_indices))
    awaken(family.flow)
    after = the_phase(family).evaluate(gaussian.read(gaussian.test_indices))
    assert abs(float(after["gain_over_gaussian"])) > 1e-3
    assert float(after["gain_over_gaussian"]) == pytest.approx(
        float(before["loss"] - after["loss"]), abs=1e-4)


def test_a_data_set_without_embeddings(maf_recipe, write_dataset, gaussian_columns, tmp_path):
    dataset = write_dataset(tmp_path / "plain.h5", maf_recipe(), None, gaussian_columns)
    with pytest.raises(galsim.GalSimError, match="no embeddings.*builder 'embeddings'"):
        embeddings_of(dataset)


def test_standard_normal_density():
    values = np.random.default_rng(3).standard_normal((6, 4))
    np.testing.assert_allclose(
        log_normal(tf.constant(values)), multivariate_normal(np.zeros(4)).logpdf(values))
