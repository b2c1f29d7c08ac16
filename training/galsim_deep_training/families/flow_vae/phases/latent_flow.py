"""The phase that fits the distribution of the latents, given the columns."""

__all__ = ["LatentFlow"]

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from ....data.dataset import Dataset
from ....fitting.graphs import as_graph
from ....fitting.phase import Batch, GradientPhase
from ....recipe import PhaseSettings
from ....settings import Jitter, PositiveShare
from ...shared.deepest_stamps import deepest_stamps
from ..model import FlowVAEModel


class LatentFlowSettings(PhaseSettings):
    """Settings of the phase ``flow``."""

    deepest_share: PositiveShare = 1.0
    """Fraction of the training stamps that the flow is fitted on: those with the least noise.

    If noise hides the structure of a galaxy, the posterior of the encoder falls back to its
    standard normal prior, which is not the distribution of galaxies.  A fraction below one is
    useful if the noise of the stamps does not depend on the columns."""
    column_jitter: Jitter = 0.03
    """Standard deviation of Gaussian noise that is added to the standardised columns during the
    fit."""
    vector_jitter: Jitter = 0.0
    """Standard deviation of Gaussian noise that is added to the vector on which the flow of the
    detail maps is conditioned, during the fit.

    If a training set has few sources, the vector identifies the source.  A flow that is conditioned
    on the exact vector memorises the detail maps of each source, and samples blurred maps for
    vectors between those of the training set."""


class LatentFlow(GradientPhase):
    """Fit the flows on the latents that the encoder finds for the training set (Lanusse et al.
    2021, arXiv:2008.03833, eq. 12).

    >>> LatentFlow.name, LatentFlow.builds_on
    ('flow', ('autoencoder', 'structure'))
    >>> settings = LatentFlow.Settings(steps=3000, deepest_share=0.4)
    >>> settings.deepest_share, settings.column_jitter
    (0.4, 0.03)
    """

    name = "flow"
    Settings: ClassVar[type[PhaseSettings]] = LatentFlowSettings
    builds_on: ClassVar[tuple[str, ...]] = ("autoencoder", "structure")
    uses = ("model.autoencoder", "model.flow", "model.detail_flow")

    def __init__(self, family: FlowVAEModel, settings: Any, float16: bool | None = None) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed, dict(prior=family.prior),
                         family.prior.trainable_variables, float16)

    @property
    def flow_settings(self) -> LatentFlowSettings:
        """The settings of the latents that the flow is fitted on."""
        return self.family.fit["flow"]

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        latents = self.latents(dataset)
        step = start
        while True:
            yield self.draw(latents, np.random.default_rng([self.seed, 2, step]))
            step += 1

    def draw(self, latents: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """A batch of latents: random training stamps, and one draw from the posterior of each.

        Parameters:
            latents:    The result of `latents`.
            rng:        Random numbers for stamps, draws and jitter.

        Returns:
            arrays ``latent`` [N, D], ``conditions`` [N, C] with jitter, and ``blur`` [N, V], the
            jitter of the vector.  D is the number of latents without those of the pose, C the
            number of columns, V the length of the vector.
        """
        settings, mean = self.flow_settings, latents["mean"]
        rows = rng.integers(len(mean), size=self.settings.batch_size)
        noise, jitter, blur = (
            rng.standard_normal((len(rows), width), np.float32)
            for width in (mean.shape[1], latents["conditions"].shape[1],
                          self.family.autoencoder.vector_size))
        return dict(latent=mean[rows] + latents["scale"][rows] * noise,
                    conditions=latents["conditions"][rows] + settings.column_jitter * jitter,
                    blur=settings.vector_jitter * blur)

    def latents(self, dataset: Dataset) -> dict[str, Any]:
        """Encode the training stamps with the least noise.

        Returns:
            ``mean`` and ``scale`` of the posterior, [M, D] each; the standardised columns
            ``conditions`` [M, C]; and ``columns``, a dict of the columns themselves, [M] each.
        """
        names = [column.name for column in self.family.recipe.columns]

        @as_graph
        def encode(batch):
            mean, scale = self.family.encode(
                batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
            return self.family.shape(mean), self.family.shape(scale), self.family.conditions(batch)

        indices, parts = dataset.deepest(self.flow_settings.deepest_share), []
        rng = np.random.default_rng([self.seed, 3])
        for first in range(0, len(indices), 256):
            batch = dataset.read(indices[first:first + 256], augment=rng)
            parts.append([tensor.numpy() for tensor in encode(batch)]
                          + [batch[name] for name in names])
        mean, scale, conditions, *columns = (
            np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return dict(mean=mean, scale=scale, conditions=conditions,
                    columns=dict(zip(names, columns, strict=True)))

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self._negative_log_likelihood(
            batch["latent"], batch["conditions"], batch["blur"]), {}

    def _negative_log_likelihood(self, latent: tf.Tensor, conditions: tf.Tensor,
                                 blur: tf.Tensor | float = 0.0) -> tf.Tensor:
        return -tf.reduce_mean(self.family.prior.log_prob(latent, conditions, blur))

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The mean negative log-likelihood of the latents of test stamps.

        Of the test stamps too, only the ``deepest_share`` with the least noise is used.  If test
        stamps are noisier than training stamps, their latents contain less information, and the
        value is not comparable with that of the training set.
        """
        family = self.family
        batch = deepest_stamps(batch, self.flow_settings.deepest_share)
        mean, scale = family.encode(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        drawn = mean + scale * tf.random.stateless_normal(tf.shape(mean), [self.seed, 6])
        return dict(negative_log_likelihood=self._negative_log_likelihood(
            family.shape(drawn), family.conditions(batch)))
