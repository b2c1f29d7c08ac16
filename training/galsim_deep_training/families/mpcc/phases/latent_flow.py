"""The phase that fits the distribution of the latents given columns that the networks did not get.
"""

__all__ = ["MixtureFlow"]

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ....fitting.phase import Batch
from ..encoded import encoded_batch
from ..model import MPCCModel
from .adversarial import NETWORKS
from .encoded import EncodedPhase, EncodedSettings


class MixtureFlow(EncodedPhase):
    """Fit a normalizing flow of the latents of each class, on the latents of real stamps.

    z = mu_y + sigma_y T(u; columns, y) with u ~ N(0, 1).  T is the identity at first.  This is the
    second stage of the Flow-VAE (Lanusse et al. 2021, arXiv:2008.03833, section 3.3) for the
    latents of MPCC.

    Parameters:
        family:     The model.
        settings:   `EncodedSettings`.

    Example::

        >>> MixtureFlow.name, MixtureFlow.builds_on
        ('flow', ('adversarial', 'inference'))
        >>> MixtureFlow.Settings(steps=2000).deepest_share
        1.0
    """

    name = "flow"
    uses = (*NETWORKS, "model.flow")

    def __init__(self, family: MPCCModel, settings: EncodedSettings) -> None:
        assert family.flow is not None
        self.flow = family.flow
        super().__init__(family, settings, "flow", family.flow)

    def batches_of(self, stamps: dict[str, np.ndarray],
                   start: int) -> Iterator[dict[str, np.ndarray]]:
        """Batches of ``encoded`` stamps: latents and classes drawn from their posteriors."""
        step, cumulative = start, np.cumsum(stamps["class_probability"], axis=-1)
        while True:
            rng = np.random.default_rng([self.seed, 2, step])
            rows = rng.integers(len(cumulative), size=self.settings.batch_size)
            noise = rng.standard_normal((len(rows), stamps["mean"].shape[1]), np.float32)
            passed = rng.random((len(rows), 1)) * cumulative[rows, -1:] >= cumulative[rows]
            yield dict(latent=stamps["mean"][rows] + stamps["scale"][rows] * noise,
                       galaxy_class=passed.sum(axis=-1).astype(np.float32),
                       conditions=stamps["conditions"][rows])
            step += 1

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        classes = self.family.one_hot(tf.cast(batch["galaxy_class"], tf.int32))
        return self._negative_log_likelihood(batch["latent"], classes, batch["conditions"]), {}

    def _negative_log_likelihood(self, latent: tf.Tensor, classes: tf.Tensor,
                                 conditions: tf.Tensor) -> tf.Tensor:
        """-log p(z | y, columns) [nats], the mean.

        Parameters:
            latent:         [N, J].
            classes:        One-hot, [N, K].
            conditions:     Standardised columns, [N, C].
        """
        mean, deviation = (tf.linalg.matmul(classes, part[0])
                           for part in self.family.prior.components(conditions[:, :0]))
        flow = self.flow(tf.concat([conditions, classes], axis=-1))
        return tf.reduce_mean(tf.reduce_sum(tf.math.log(deviation), axis=-1)
                              - flow.log_prob((latent - mean) / deviation))

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        stamps = encoded_batch(self.family, batch)
        classes = self.family.one_hot(tf.argmax(stamps["class_probability"], axis=-1))
        return dict(negative_log_likelihood=self._negative_log_likelihood(
            stamps["mean"], classes, stamps["conditions"]))
