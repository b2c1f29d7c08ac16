"""The phase that learns how frequent classes are, given the columns."""

__all__ = ["ClassShares"]

import numpy as np
import tensorflow as tf

from .adversarial import Adversarial
from .base import GradientPhase
from .encoded import encoded, encoded_batch


class ClassShares(GradientPhase):
    """Fit p(y | columns) on the classes of the training stamps: labels, or what the encoder says.

    While a GAN is trained classes are equally frequent, or as their labels are, whatever the
    columns; this is how frequent they are among real stamps of given columns.
    """

    name = "classes"
    independent_of = tuple(
        key for key in Adversarial.independent_of if key != "model.class_share")

    def __init__(self, family, fit):
        self.family = family
        super().__init__(fit, family.recipe.seed, dict(class_weights=family.class_weights),
                         family.class_weights.trainable_variables)

    def batches(self, dataset, start):
        known = encoded(self.family, dataset,
                        dataset.deepest(self.family.settings.class_share), self.seed)
        number = start
        while True:
            rng = np.random.default_rng([self.seed, 2, number])
            rows = rng.integers(len(known["context"]), size=self.fit.batch_size)
            yield {name: known[name][rows] for name in ("membership", "context")}
            number += 1

    def loss(self, batch, number):
        return self._surprise(batch["membership"], batch["context"]), {}

    def _surprise(self, membership, context):
        return -tf.reduce_mean(
            tf.reduce_sum(membership * self.family.class_weights(context), axis=-1))

    def evaluate(self, batch):
        found = encoded_batch(self.family, batch)
        return dict(surprise=self._surprise(found["membership"], found["context"]))
