"""The phase that fits the frequencies of the classes given the columns."""

__all__ = ["ClassWeightsPhase"]

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ....fitting.phase import Batch
from ..encoded import encoded_batch
from ..model import MPCCModel
from .adversarial import NETWORKS
from .encoded import EncodedPhase, EncodedSettings


class ClassWeightsPhase(EncodedPhase):
    """Fit p(y | columns) to the classes of the training stamps: labels, or inferred ones.

    In the phase ``adversarial`` the frequencies of the classes do not depend on the columns: they
    are equal, or those of the labels.

    Parameters:
        family:     The model.
        settings:   `EncodedSettings`.

    Example::

        >>> from galsim_deep_training.families import make_family
        >>> from galsim_deep_training.recipe import read_recipe
        >>> family = make_family(read_recipe("training/recipes/digits_mpcc.yaml"))
        >>> phase = ClassWeightsPhase(family, family.fit["class_weights"])
        >>> batch = dict(class_probability=tf.one_hot([3, 8], 10), conditions=tf.zeros([2, 0]))
        >>> loss, _ = phase.loss(batch, tf.constant(0))
        >>> round(float(loss), 2)  # ln 10: at first, all ten classes are equally frequent
        2.3
    """

    name = "class_weights"
    uses = NETWORKS

    def __init__(self, family: MPCCModel, settings: EncodedSettings) -> None:
        super().__init__(family, settings, "class_weights", family.class_weights)

    def batches_of(self, stamps: dict[str, np.ndarray],
                   start: int) -> Iterator[dict[str, np.ndarray]]:
        """Batches of ``encoded`` stamps."""
        step = start
        while True:
            rng = np.random.default_rng([self.seed, 2, step])
            rows = rng.integers(len(stamps["conditions"]), size=self.settings.batch_size)
            yield {name: stamps[name][rows] for name in ("class_probability", "conditions")}
            step += 1

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self._negative_log_likelihood(batch), {}

    def _negative_log_likelihood(self, stamps: Batch) -> tf.Tensor:
        """-log p(y | columns) of the classes of encoded stamps [nats], the mean."""
        return -tf.reduce_mean(tf.reduce_sum(
            stamps["class_probability"] * self.family.class_weights(stamps["conditions"]),
            axis=-1))

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        return dict(negative_log_likelihood=self._negative_log_likelihood(
            encoded_batch(self.family, batch)))
