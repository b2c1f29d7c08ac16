"""The phase that fits the density of embeddings."""

__all__ = ["DensityPhase", "DensitySettings"]

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from galsim import GalSimError

from ...data.dataset import Dataset
from ...fitting.phase import Batch, GradientPhase
from ...recipe import PhaseSettings
from ...settings import Jitter


class DensitySettings(PhaseSettings):
    """Settings of the phase ``density``.

    >>> DensitySettings(steps=2000).jitter
    0.1
    """

    jitter: Jitter = 0.1
    """Standard deviation of Gaussian noise that is added to the whitened embeddings during the fit.
    A flow of many dimensions learns the few thousand embeddings of a training set by heart
    otherwise, and holds all others to be improbable."""


class DensityPhase(GradientPhase):
    """Maximise the likelihood of the embeddings of the training set.

    The logs have, for test embeddings, ``loss`` and ``negative_log_likelihood``, the mean of
    -ln p(z) [nats], and ``gain_over_gaussian``, by how much ln p(z) is higher than with the
    Gaussian of the mean and covariance of the training set (with ``whitening: deviation``: of its
    variances).  If the gain falls in the end, the fit has learnt the training set by heart: make
    fewer steps, the flow smaller, or the jitter larger.

    Parameters:
        family:     The `families.maf.MAF`.
        settings:   `DensitySettings`.

    >>> DensityPhase.name, DensityPhase.reads_images
    ('density', False)
    """

    name = "density"
    Settings = DensitySettings
    reads_images = False

    def __init__(self, family: Any, settings: DensitySettings) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed, dict(flow=family.flow),
                         family.flow.trainable_variables)

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Whitened embeddings with jitter, ``whitened`` [n, K], and ``conditions`` [n, C]."""
        family, step = self.family, start
        embeddings = embeddings_of(dataset)
        while True:
            rows = dataset.batch_indices(step, self.settings.batch_size, self.seed)
            noise = np.random.default_rng([self.seed, 2, step]).standard_normal(
                (len(rows), embeddings.shape[1]), np.float32)
            columns = {name: values[rows] for name, values in dataset.columns.items()}
            yield dict(
                whitened=family.whitening(embeddings[rows]).numpy() + self.settings.jitter * noise,
                conditions=family.conditions_of(columns, len(rows)).numpy())
            step += 1

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        log_prob = self.family.flow(batch["conditions"]).log_prob(batch["whitened"])
        return -tf.reduce_mean(log_prob) - self.family.whitening.log_det, {}

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        whitening = self.family.whitening
        embeddings = batch["embedding"]
        loss = -tf.reduce_mean(self.family.log_prob(embeddings, batch))
        gaussian = -tf.reduce_mean(log_normal(whitening(embeddings))) - whitening.log_det
        return dict(loss=loss, negative_log_likelihood=loss, gain_over_gaussian=gaussian - loss)



def embeddings_of(dataset: Dataset) -> np.ndarray:
    """The embeddings of a data set, float32 [N, K].

    Raises a `galsim.GalSimError` if it has none.
    """
    if dataset.embedding is None:
        raise GalSimError(f"The data set {dataset.path} has no embeddings, of which the family "
                          "'maf' learns the density. Make it with the builder 'embeddings'.")
    return dataset.embedding


def log_normal(values: tf.Tensor) -> tf.Tensor:
    """ln of the standard normal density of vectors, [N, K] -> [N].

    >>> log_normal(tf.zeros([1, 2])).numpy().round(4)  # -ln(2 pi)
    array([-1.8379], dtype=float32)
    """
    return -0.5 * tf.reduce_sum(tf.square(values) + np.log(2 * np.pi), axis=-1)
