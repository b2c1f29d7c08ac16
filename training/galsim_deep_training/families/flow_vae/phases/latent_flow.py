"""The phase that learns how latents are distributed, given the columns."""

__all__ = ["LatentFlow"]

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from ....fitting.graphs import as_graph
from ....fitting.phase import GradientPhase
from ....recipe import PhaseSettings
from ....settings import Jitter, PositiveShare


class LatentFlowSettings(PhaseSettings):
    """Settings of the phase ``flow``."""

    deepest_share: PositiveShare = 1.0
    """Share of the training stamps, those with the least noise, that the flow learns from.

    What noise hides of a galaxy the encoder takes from its standard normal prior, and not from the
    distribution of galaxies.  Useful where depth does not depend on the columns."""
    column_jitter: Jitter = 0.03
    """Noise on the standardised columns while the flow is fitted."""
    vector_jitter: Jitter = 0.0
    """Noise on the vector as the flow of the details sees it while it is fitted.

    With few sources the vector identifies the source.  A flow that sees the exact vector memorises
    the details of each source, and gives blurred ones for the vectors in between that are drawn."""


class LatentFlow(GradientPhase):
    """Fit the flows on the latents that the encoder finds for the training set (Lanusse et al.
    2021, arXiv:2008.03833, eq. 12).
    """

    name = "flow"
    Settings: ClassVar[type[PhaseSettings]] = LatentFlowSettings
    builds_on: ClassVar[tuple[str, ...]] = ("autoencoder", "structure")
    uses = ("model.autoencoder", "model.flow", "model.detail_flow")

    def __init__(self, family: Any, settings: Any, float16: bool | None = None) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed, dict(prior=family.prior),
                         family.prior.trainable_variables, float16)

    @property
    def flow_settings(self) -> LatentFlowSettings:
        """The settings of what the flow learns from."""
        return self.family.fit["flow"]

    def batches(self, dataset, start):
        latents = self.latents(dataset)
        number = start
        while True:
            yield self.draw(latents, np.random.default_rng([self.seed, 2, number]))
            number += 1

    def draw(self, latents, rng):
        """A batch of latents, drawn from the posterior of stamps that are drawn at random."""
        settings, mean = self.flow_settings, latents["mean"]
        rows = rng.integers(len(mean), size=self.settings.batch_size)
        noise, jitter, blur = (
            rng.standard_normal((len(rows), width), np.float32)
            for width in (mean.shape[1], latents["conditions"].shape[1],
                          self.family.autoencoder.vector_size))
        return dict(latent=mean[rows] + latents["scale"][rows] * noise,
                    conditions=latents["conditions"][rows] + settings.column_jitter * jitter,
                    blur=settings.vector_jitter * blur)

    def latents(self, dataset):
        """Of the deepest training examples: arrays ``mean``, ``scale``, ``conditions`` and, under
        ``columns``, a dict of them.
        """
        names = [column.name for column in self.family.recipe.columns]

        @as_graph
        def encode(batch):
            mean, scale = self.family.encode(
                batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
            return self.family.shape(mean), self.family.shape(scale), self.family.conditions(batch)

        indices, found = dataset.deepest(self.flow_settings.deepest_share), []
        rng = np.random.default_rng([self.seed, 3])
        for first in range(0, len(indices), 256):
            batch = dataset.read(indices[first:first + 256], augment=rng)
            found.append([tensor.numpy() for tensor in encode(batch)]
                          + [batch[name] for name in names])
        mean, scale, conditions, *columns = (
            np.concatenate(parts) for parts in zip(*found, strict=True))
        return dict(mean=mean, scale=scale, conditions=conditions,
                    columns=dict(zip(names, columns, strict=True)))

    def loss(self, batch, number):
        return self._negative_log_likelihood(
            batch["latent"], batch["conditions"], batch["blur"]), {}

    def _negative_log_likelihood(self, latent, conditions, blur=0.0):
        return -tf.reduce_mean(self.family.prior.log_prob(latent, conditions, blur))

    def evaluate(self, batch):
        """The negative_log_likelihood of sources that the flow has not seen.

        Of the stamps with the least noise; where test stamps are not as deep as the training set's,
        they say less about the sources, and have less to gain from the flow.
        """
        family = self.family
        count = max(1, round(self.flow_settings.deepest_share * batch["noise_sigma"].shape[0]))
        deepest = tf.argsort(batch["noise_sigma"])[:count]
        batch = {name: tf.gather(value, deepest) for name, value in batch.items()}
        mean, scale = family.encode(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        drawn = mean + scale * tf.random.stateless_normal(tf.shape(mean), [self.seed, 6])
        return dict(negative_log_likelihood=self._negative_log_likelihood(
            family.shape(drawn), family.conditions(batch)))
