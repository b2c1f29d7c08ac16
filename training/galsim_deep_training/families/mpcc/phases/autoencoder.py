"""The phase that fits encoder, generator and prior as a variational autoencoder."""

__all__ = ["MixtureAutoencoding", "MixtureAutoencodingSettings"]

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ....data.dataset import Dataset
from ....fitting.phase import Batch, GradientPhase
from ....recipe import PhaseSettings, Recipe
from ....settings import PositiveShare, Share, Weight
from ..elbo import Elbo
from ..model import MPCCModel
from .adversarial import NETWORKS

POSTERIOR = 3
"""Stream of random numbers, see `Phase.normal`."""


class MixtureAutoencodingSettings(PhaseSettings):
    """Settings of the phase ``autoencoder``.

    Example::

        >>> MixtureAutoencodingSettings(steps=3000, free_bits=10.0).balance
        10.0
    """

    free_bits: Weight = 10.0
    """KL divergence of a galaxy that is not penalised [nats]."""
    model_error: Share = 0.1
    """Relative error of a profile, per pixel, that is tolerated; see
    `physics.likelihood.error_floor_weight`."""
    balance: Weight = 10.0
    """Weight of the unequal use of the classes [nats per galaxy], see `Elbo`."""
    deepest_share: PositiveShare = 1.0
    """Fraction of the training stamps that are used: those with the least noise."""


class MixtureAutoencoding(GradientPhase):
    """Fit encoder, generator and prior on the evidence lower bound, before the discriminator.

    A generative adversarial network learns the large-scale appearance of galaxies slowly, and gives
    up what is rare.  Here it starts with a generator that reproduces all training stamps, with what
    a latent can tell, and with classes that are groups of their latents.

    Parameters:
        family:     The model.
        settings:   `MixtureAutoencodingSettings`.

    Example::

        >>> MixtureAutoencoding.name, MixtureAutoencoding.builds_on
        ('autoencoder', ())
    """

    name = "autoencoder"
    Settings = MixtureAutoencodingSettings
    builds_on = ()
    uses = NETWORKS

    settings: MixtureAutoencodingSettings

    def __init__(self, family: MPCCModel, settings: MixtureAutoencodingSettings) -> None:
        self.family = family
        networks: dict[str, keras.Model] = dict(
            generator=family.generator, prior=family.prior, encoder_trunk=family.encoder_trunk,
            encoder=family.encoder)
        # The bound uses no noise of the generator.
        unused = {id(variable) for layer in family.generator.noise_layers.values()
                  for variable in layer.trainable_variables}
        super().__init__(settings, family.recipe.seed, networks, [
            variable for network in networks.values() for variable in network.trainable_variables
            if id(variable) not in unused])
        self.elbo = Elbo(family, settings.free_bits, settings.model_error)

    @classmethod
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        model = recipe.model.settings
        if model["canvas"]["kind"] != "polar_frame" or model.get("classes", {}).get("supervised"):
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.autoencoder, needs model.canvas.kind: polar_frame, "
                "and classes that are not labels. Leave the phase out.")

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed + 7, start,
                               augmented=self.family.canvas.may_be_rotated,
                               among=dataset.deepest(self.settings.deepest_share))

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        normal = self.normal(
            step, tf.shape(batch["stamp"])[0], self.family.settings.latent_size, POSTERIOR)
        progress = tf.cast(step, tf.float32) / self.settings.steps
        # From 0.1 to 1 in the first twentieth.
        beta = tf.minimum(1.0, 0.1 + 18.0 * progress)
        return self.elbo(batch, normal, beta, self.settings.balance, training=True)

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        # The KL divergence is estimated from a draw; that of the mean would be too large.
        normal = self.normal(tf.constant(-1), tf.shape(batch["stamp"])[0],
                             self.family.settings.latent_size, POSTERIOR)
        loss, scalars = self.elbo(batch, normal, batchwise=True)
        return dict(scalars, loss=loss)
