"""The phase ``flow``: the distribution of the latents given the columns."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.phases.encoded import EncodedSettings
from galsim_deep_training.families.mpcc.phases.latent_flow import MixtureFlow
from galsim_deep_training.fitting.graphs import as_graph

COUNT, STEPS = 6000, 500


@pytest.mark.long
def test_the_flow_learns_what_columns_say_within_a_class(make):
    """In class 0 the first latent increases with the first column, in class 1 it decreases."""
    family, dataset = make("unconditional")
    rng = np.random.default_rng(2)
    conditions = rng.standard_normal((COUNT, 3)).astype(np.float32)
    numbers = rng.integers(3, size=COUNT)
    mean, deviation = (part[0].numpy() for part in family.prior.components(tf.zeros([1, 0])))
    normal = rng.standard_normal((COUNT, 4))
    normal[:, 0] = 0.4 * normal[:, 0] + np.array([1.0, -1.0, 0.0])[numbers] * conditions[:, 0]
    latent = (mean[numbers] + deviation[numbers] * normal).astype(np.float32)
    phase = MixtureFlow(family, EncodedSettings(
        steps=STEPS, batch_size=256, learning_rate=0.02, average=0.9))
    batches, step = phase.batches_of(dict(
        class_probability=np.eye(3, dtype=np.float32)[numbers], conditions=conditions,
        mean=latent, scale=np.full_like(latent, 0.01)), 0), as_graph(phase.step)
    for number in range(STEPS):
        step({name: tf.constant(value) for name, value in next(batches).items()},
             tf.constant(number))
    phase.finish(dataset)

    place = np.zeros((COUNT, 3), np.float32)
    place[:, 0] = 1.2
    columns = family.conditions.columns_of(tf.constant(place))
    for number, sign in enumerate((1, -1, 0)):
        drawn = family.draw_latent(
            tf.constant(rng.standard_normal((COUNT, 4)), tf.float32),
            family.one_hot(tf.fill([COUNT], number)), columns).numpy()
        drawn = (drawn - mean[number]) / deviation[number]
        assert drawn[:, 0].mean() == pytest.approx(1.2 * sign, abs=0.3)
        assert abs(drawn[:, 1].mean()) < 0.2
    # The class is inferred with the same density.
    typical = mean[0] + deviation[0] * [1.2, 0, 0, 0]
    atypical = mean[0] + deviation[0] * [-1.2, 0, 0, 0]
    probability = family.log_class_probability(
        tf.constant([typical, atypical], tf.float32),
        {name: value[:2] for name, value in columns.items()}).numpy()
    assert probability[0, 0] > probability[1, 0] + 1.0
