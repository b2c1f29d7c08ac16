"""The phase ``class_weights``: the frequencies of the classes given the columns."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.phases.class_weights import ClassWeightsPhase
from galsim_deep_training.families.mpcc.phases.encoded import EncodedSettings
from galsim_deep_training.fitting.graphs import as_graph

COUNT, STEPS = 6000, 400


@pytest.mark.long
def test_frequencies_follow_the_columns(make):
    """Class 2 has all magnitudes, class 0 faint and class 1 bright ones."""
    family, dataset = make("unconditional")
    rng = np.random.default_rng(1)
    conditions = rng.standard_normal((COUNT, 3)).astype(np.float32)
    is_bright = rng.random(COUNT) < 1 / (1 + np.exp(2 * conditions[:, 1]))
    numbers = np.where(rng.random(COUNT) < 0.3, 2, is_bright.astype(int))
    phase = ClassWeightsPhase(family, EncodedSettings(
        steps=STEPS, batch_size=256, learning_rate=0.02, average=0.9))
    batches, step = phase.batches_of(dict(
        class_probability=np.eye(3, dtype=np.float32)[numbers], conditions=conditions),
        0), as_graph(phase.step)
    for number in range(STEPS):
        step({name: tf.constant(value) for name, value in next(batches).items()},
             tf.constant(number))
    phase.finish(dataset)
    place = np.zeros((3, 3), np.float32)
    place[:, 1] = -1.5, 0.0, 1.5
    columns = family.conditions.columns_of(tf.constant(place))
    weights = np.exp(family.log_class_weights(columns, 3))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(weights[:, 2], 0.3, atol=0.07)
    np.testing.assert_allclose(weights[:, 1], 0.7 / (1 + np.exp(2 * place[:, 1])), atol=0.08)
