"""The phase that learns how columns hang together, so that a row may leave some of them out."""

__all__ = ["ColumnCompletion"]

import numpy as np
import tensorflow as tf

from ..recipe import DATA_PARTS
from .base import GradientPhase


class ColumnCompletion(GradientPhase):
    """Fit a `networks.completion.Completion` on the columns of the training set.

    In each row every column is held back with a probability of one half, and to be told from those
    that are left.
    """

    name = "columns"
    depends_on = (*DATA_PARTS, "fit.columns")

    def __init__(self, family, fit):
        self.family = family
        super().__init__(fit, family.recipe.seed, dict(completion=family.completion),
                         family.completion.trainable_variables)

    def batches(self, dataset, start):
        rows = dataset.train_indices
        values = self.family.context(
            {name: column[rows] for name, column in dataset.columns.items()}).numpy()
        number = start
        while True:
            rng = np.random.default_rng([self.seed, 5, number])
            chosen = values[rng.integers(len(values), size=self.fit.batch_size)]
            yield dict(values=chosen, given=(rng.random(chosen.shape) < 0.5).astype(np.float32))
            number += 1

    def loss(self, batch, number):
        return self._surprise(batch["values"], batch["given"] > 0), {}

    def evaluate(self, batch):
        values = self.family.context(batch)
        return dict(surprise=self._surprise(values, tf.zeros_like(values, tf.bool)))

    def _surprise(self, values, given):
        return -tf.reduce_mean(self.family.completion.log_prob(values, given))
