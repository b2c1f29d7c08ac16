"""The phase that fits the encoder to the final generator."""

__all__ = ["Inference"]

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from ....data.dataset import Dataset
from ....fitting.phase import Batch, GradientPhase
from ....networks.spectral import fold_spectral_norm
from ....recipe import PhaseSettings
from ..losses import latent_negative_log_likelihood
from ..model import MPCCModel
from ..simulator import Simulator
from .adversarial import NETWORKS


class Inference(GradientPhase):
    """Continue to fit the encoder, on images of the averaged generator (eq. 7.13).

    In the phase ``adversarial``, the encoder is fitted to a generator that changes.  The generator
    of a module is an average of these, on which the encoder was not fitted.

    Parameters:
        family:     The model.
        settings:   `PhaseSettings`.

    Example::

        >>> Inference.name, Inference.builds_on
        ('inference', ('adversarial',))
        >>> Inference.Settings(steps=1500, learning_rate=5e-4).batch_size
        64
    """

    name = "inference"
    builds_on = ("adversarial",)
    uses = NETWORKS

    def __init__(self, family: MPCCModel, settings: PhaseSettings) -> None:
        self.family = family
        networks: dict[str, keras.Model] = dict(
            encoder_trunk=family.encoder_trunk, encoder=family.encoder)
        super().__init__(settings, family.recipe.seed, networks)
        self.simulator = Simulator(family, self.normal)

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed + 1, start,
                               augmented=self.family.canvas.may_be_rotated)

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return self._negative_log_likelihood(batch, step, training=True), {}

    def _negative_log_likelihood(self, batch: Batch, step: tf.Tensor,
                                 training: bool) -> tf.Tensor:
        """-log q(z | x) of the latents of simulated stamps [nats], the mean."""
        views, latent, _ = tf.nest.map_structure(
            tf.stop_gradient, self.simulator.views(batch, step, 0))
        mean, scale = self.family.encode_views(
            views, self.family.network_conditions(batch, tf.shape(latent)[0]), training=training)
        return tf.reduce_mean(latent_negative_log_likelihood(latent, mean, scale))

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        return dict(loss=self._negative_log_likelihood(batch, tf.constant(-1), training=False))

    def finish(self, dataset: Dataset) -> None:
        super().finish(dataset)
        fold_spectral_norm(self.family.encoder_trunk)
        fold_spectral_norm(self.family.encoder)
