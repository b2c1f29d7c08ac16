"""The phase that learns what columns say about a latent, where networks were not told of them."""

__all__ = ["MixtureFlow"]

import numpy as np
import tensorflow as tf

from .adversarial import Adversarial
from .base import GradientPhase
from .encoded import encoded, encoded_batch


class MixtureFlow(GradientPhase):
    """Fit a flow of the latents within their classes on what the encoder finds in real stamps.

    z = mu_y + sigma_y T(u; columns, y), u ~ N(0, 1), with T the identity at first: the second stage
    of the Flow-VAE on the codes of MPCC (option A in ``docs/training.md``).
    """

    name = "flow"
    independent_of = tuple(key for key in Adversarial.independent_of
                           if key not in ("model.class_share", "model.flow"))

    def __init__(self, family, fit):
        self.family = family
        super().__init__(fit, family.recipe.seed, dict(flow=family.flow),
                         family.flow.trainable_variables)

    def batches(self, dataset, start):
        known = encoded(self.family, dataset,
                        dataset.deepest(self.family.settings.class_share), self.seed)
        number, shares = start, np.cumsum(known["membership"], axis=-1)
        while True:
            rng = np.random.default_rng([self.seed, 2, number])
            rows = rng.integers(len(shares), size=self.fit.batch_size)
            noise = rng.standard_normal((len(rows), known["mean"].shape[1]), np.float32)
            passed = rng.random((len(rows), 1)) * shares[rows, -1:] >= shares[rows]
            yield dict(latent=known["mean"][rows] + known["scale"][rows] * noise,
                       cluster=passed.sum(axis=-1).astype(np.float32),
                       context=known["context"][rows])
            number += 1

    def loss(self, batch, number):
        classes = self.family.one_hot(tf.cast(batch["cluster"], tf.int32))
        return self._surprise(batch["latent"], classes, batch["context"]), {}

    def _surprise(self, latent, classes, context):
        """-log p(z | y, columns) [nats], the mean."""
        mean, deviation = (tf.linalg.matmul(classes, part[0])
                           for part in self.family.prior.components(context[:, :0]))
        flow = self.family.flow(tf.concat([context, classes], axis=-1))
        return tf.reduce_mean(tf.reduce_sum(tf.math.log(deviation), axis=-1)
                              - flow.log_prob((latent - mean) / deviation))

    def evaluate(self, batch):
        found = encoded_batch(self.family, batch)
        classes = self.family.one_hot(tf.argmax(found["membership"], axis=-1))
        return dict(surprise=self._surprise(found["mean"], classes, found["context"]))
