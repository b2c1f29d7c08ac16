"""The phase of the columns: its batches, and what it minimises."""

import itertools
import types

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.shared.column_imputation import ColumnImputation
from galsim_deep_training.networks.conditions import Conditions
from galsim_deep_training.networks.imputation import Imputation


@pytest.fixture
def phase(recipe, dataset):
    """Of a family that has nothing else."""
    conditions, imputation = Conditions(recipe.columns), Imputation(3, hidden=8)
    conditions.adapt({name: values[dataset.train_indices]
                      for name, values in dataset.columns.items()})
    imputation.log_prob(tf.zeros([1, 3]), tf.zeros([1, 3], tf.bool))
    family = types.SimpleNamespace(recipe=recipe, conditions=conditions, imputation=imputation)
    return ColumnImputation(
        family, ColumnImputation.Settings(steps=12, batch_size=200, learning_rate=0.01))


def test_batches(phase, dataset):
    first, second = itertools.islice(phase.batches(dataset, 0), 2)
    assert first["values"].shape == first["observed"].shape == (200, 3)
    # Rows of the training split, as the networks see them.
    rows = phase.family.conditions({
        name: values[dataset.train_indices] for name, values in dataset.columns.items()}).numpy()
    assert {tuple(row) for row in first["values"]} <= {tuple(row) for row in rows}
    assert set(np.unique(first["observed"])) == {0.0, 1.0}
    assert first["observed"].mean() == pytest.approx(0.5, abs=0.1)
    assert not np.array_equal(first["observed"], second["observed"])
    again = next(phase.batches(dataset, 1))
    for name, value in second.items():
        np.testing.assert_array_equal(again[name], value)


def test_loss_before_the_fit(phase):
    """Each column that is not observed is standard normal."""
    values = np.float32([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]])
    observed = np.float32([[1, 1, 0], [1, 0, 1]])
    loss, scalars = phase.loss(
        dict(values=tf.constant(values), observed=tf.constant(observed)), tf.constant(0))
    assert float(loss) == pytest.approx(0.5 * np.log(2 * np.pi) + 0.5 * 0.5 * 2.0**2, abs=1e-3)
    assert scalars == {}


@pytest.mark.long
def test_steps_lower_the_loss(phase, dataset):
    batch = {name: tf.constant(value) for name, value in next(phase.batches(dataset, 0)).items()}
    losses = [float(phase.step(batch, tf.constant(number))["loss"]) for number in range(10)]
    assert losses[-1] < losses[0]


def test_evaluate(phase, dataset):
    """No column is observed: this is the density of whole rows."""
    batch = dataset.read(dataset.test_indices[:4])
    (value,) = phase.evaluate(batch).values()
    values = phase.family.conditions(batch).numpy()
    expected = 0.5 * np.mean(np.sum(values**2, axis=1)) + 1.5 * np.log(2 * np.pi)
    assert float(value) == pytest.approx(expected, rel=1e-3)


def test_what_is_saved(phase):
    assert {"imputation", "conditions", "optimizer"} <= set(phase.state())
