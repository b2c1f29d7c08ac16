"""The phase that fits the joint distribution of the columns, so that values may be missing."""

__all__ = ["ColumnImputation"]

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ...data.dataset import Dataset
from ...fitting.phase import Batch, GradientPhase


class ColumnImputation(GradientPhase):
    """Fit a `networks.imputation.Imputation` on the columns of the training set.

    In each row every column is masked with a probability of one half, and predicted from the
    others.

    Parameters:
        family:     A family with an ``imputation`` and ``conditions``.
        settings:   `recipe.PhaseSettings`.

    The fit needs no other phase, and its settings are those of every phase::

        >>> from galsim_deep_training.families import choose_family
        >>> from galsim_deep_training.recipe import read_recipe
        >>> recipe = read_recipe("training/recipes/first_mpcc.yaml")
        >>> settings = choose_family(recipe).cls.fit_settings(recipe)[ColumnImputation.name]
        >>> settings.steps, ColumnImputation.builds_on
        (2000, ())
    """

    name = "columns"
    builds_on = ()
    uses = ()
    reads_images = False

    def __init__(self, family: Any, settings: Any) -> None:
        self.family = family
        super().__init__(
            settings, family.recipe.seed,
            dict(imputation=family.imputation, conditions=family.conditions),
            family.imputation.trainable_variables)

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        rows = dataset.train_indices
        values = self.family.conditions(
            {name: column[rows] for name, column in dataset.columns.items()}).numpy()
        step = start
        while True:
            rng = np.random.default_rng([self.seed, 5, step])
            chosen = values[rng.integers(len(values), size=self.settings.batch_size)]
            yield dict(values=chosen, observed=(rng.random(chosen.shape) < 0.5).astype(np.float32))
            step += 1

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self._negative_log_likelihood(batch["values"], batch["observed"] > 0), {}

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        values = self.family.conditions(batch)
        return dict(negative_log_likelihood=self._negative_log_likelihood(
            values, tf.zeros_like(values, tf.bool)))

    def _negative_log_likelihood(self, values: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
        return -tf.reduce_mean(self.family.imputation.log_prob(values, observed))
