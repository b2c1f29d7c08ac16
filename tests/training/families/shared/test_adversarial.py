"""The adversarial phase, with a generator of one number."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.shared.adversarial import Adversarial, AdversarialSettings
from galsim_deep_training.fitting.graphs import as_graph
from galsim_deep_training.networks.blocks import mlp


class Level(Adversarial):
    """Stamps of 2 x 2 pixels with one level and noise; the generator has to find the level."""

    perturbation_stream = 7

    def __init__(self, settings, start=0.0):
        self.level = keras.Variable(start)
        discriminator = mlp(1, (16,))
        discriminator.build([None, 5])
        super().__init__(SimpleNamespace(recipe=SimpleNamespace(seed=3)), settings, {},
                         [self.level], discriminator)

    def sampled(self, batch, step):
        noise = self.normal(step, tf.shape(batch["stamp"])[0], 4, 1)
        return self.level + 0.5 * tf.reshape(noise, [-1, 2, 2])

    def views(self, stamps, batch):
        return stamps, batch["column"][:, None]

    def scores(self, views):
        images, columns = views
        return self.discriminator(tf.concat([tf.reshape(images, [-1, 4]), columns], axis=-1))[:, 0]

    def reproduction(self, batch, step):
        return tf.square(self.level - 1.0), dict(misfit=self.level - 1.0)


def fitted(steps, elbo):
    phase = Level(AdversarialSettings(
        steps=steps, batch_size=64, learning_rate=0.05, average=0.9, elbo=elbo))
    step, rng = as_graph(phase.step), np.random.default_rng(1)
    for number in range(steps):
        batch = dict(stamp=2.0 + 0.5 * rng.standard_normal([64, 2, 2]), column=rng.random(64))
        scalars = step({name: tf.constant(value, tf.float32) for name, value in batch.items()},
                       tf.constant(number))
    phase.finish(None)
    return phase, {name: float(value) for name, value in scalars.items()}


@pytest.mark.long
def test_it_finds_the_level():
    phase, scalars = fitted(200, elbo=0.0)
    assert float(phase.level) == pytest.approx(2.0, abs=0.25)
    assert scalars["real"] == pytest.approx(scalars["fake"], abs=0.5)


@pytest.mark.long
def test_stamps_are_still_reproduced():
    phase, _ = fitted(200, elbo=100.0)
    assert float(phase.level) == pytest.approx(1.0, abs=0.2)


def test_both_optimisers_are_saved():
    phase = Level(AdversarialSettings(steps=3))
    assert {"discriminator", "generator_optimizer", "critic_optimizer"} <= set(phase.state())
