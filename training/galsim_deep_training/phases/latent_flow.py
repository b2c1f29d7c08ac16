"""The phase that learns how latents are distributed, given the columns."""

__all__ = ["LatentFlow"]

import numpy as np
import tensorflow as tf

from ..graphs import as_graph
from .autoencoding import Structure
from .base import GradientPhase


class LatentFlow(GradientPhase):
    """Fit the flows on the latents that the encoder finds for the training set (eq. 12)."""

    name = "flow"
    independent_of = ("model.refinement",)

    def __init__(self, family, fit, float16=None):
        self.family = family
        if Structure.name not in family.recipe.fit:
            self.independent_of = (*self.independent_of, "model.structure_error")
        super().__init__(fit, family.recipe.seed, dict(prior=family.prior),
                         family.prior.trainable_variables, float16)

    def batches(self, dataset, start):
        latents = self.latents(dataset)
        number = start
        while True:
            yield self.draw(latents, np.random.default_rng([self.seed, 2, number]))
            number += 1

    def draw(self, latents, rng):
        """A batch of latents, drawn from the posterior of stamps that are drawn at random."""
        settings, mean = self.family.settings, latents["mean"]
        rows = rng.integers(len(mean), size=self.fit.batch_size)
        noise, jitter, blur = (
            rng.standard_normal((len(rows), width), np.float32)
            for width in (mean.shape[1], latents["context"].shape[1],
                          self.family.autoencoder.vector_size))
        return dict(latent=mean[rows] + latents["scale"][rows] * noise,
                    context=latents["context"][rows] + settings.column_jitter * jitter,
                    blur=settings.vector_jitter * blur)

    def latents(self, dataset):
        """Of the deepest training examples: arrays ``mean``, ``scale``, ``context`` and, under
        ``columns``, a dict of them.
        """
        names = [column.name for column in self.family.recipe.columns]

        @as_graph
        def encode(batch):
            mean, scale = self.family.encode(
                batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
            return self.family.shape(mean), self.family.shape(scale), self.family.context(batch)

        indices, found = dataset.deepest(self.family.settings.flow_share), []
        rng = np.random.default_rng([self.seed, 3])
        for first in range(0, len(indices), 256):
            batch = dataset.read(indices[first:first + 256], augment=rng)
            found.append([tensor.numpy() for tensor in encode(batch)]
                          + [batch[name] for name in names])
        mean, scale, context, *columns = (
            np.concatenate(parts) for parts in zip(*found, strict=True))
        return dict(mean=mean, scale=scale, context=context,
                    columns=dict(zip(names, columns, strict=True)))

    def loss(self, batch, number):
        return self._surprise(batch["latent"], batch["context"], batch["blur"]), {}

    def _surprise(self, latent, context, blur=0.0):
        return -tf.reduce_mean(self.family.prior.log_prob(latent, context, blur))

    def evaluate(self, batch):
        """The surprise of sources that the flow has not seen.

        Of the stamps with the least noise; where test stamps are not as deep as the training set's,
        they say less about the sources, and have less to gain from the flow.
        """
        family = self.family
        count = max(1, round(family.settings.flow_share * batch["noise_sigma"].shape[0]))
        deepest = tf.argsort(batch["noise_sigma"])[:count]
        batch = {name: tf.gather(value, deepest) for name, value in batch.items()}
        mean, scale = family.encode(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        drawn = mean + scale * tf.random.stateless_normal(tf.shape(mean), [self.seed, 6])
        return dict(surprise=self._surprise(family.shape(drawn), family.context(batch)))
