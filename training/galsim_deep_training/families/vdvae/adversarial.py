"""The phase in which a discriminator compares sampled sources with observed ones."""

__all__ = ["Adversarial"]

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf

from ...data.dataset import Dataset
from ...fitting.optimiser_step import OptimiserStep
from ...fitting.optimisers import make_optimizer
from ...fitting.phase import Batch, Phase
from ...physics.observation import clipped_if, observe
from ...recipe import PhaseSettings
from ...settings import Weight
from ..shared.relativistic_pairs import gradient_penalty, pair_loss
from .discriminator import StampDiscriminator
from .phase import VeryDeepAutoencoding

if TYPE_CHECKING:
    from .family import VDVAE

BETAS: dict[str, Any] = dict(beta_1=0.0, beta_2=0.99)
"""Parameters of Adam, for both networks."""
# Streams of random numbers, see `Phase.normal`.
NOISE, PERTURBATION, LATENTS = 11, 12, 13


class AdversarialSettings(PhaseSettings):
    """Settings of the phase ``adversarial`` of the family ``vdvae``."""

    penalty: Weight = 1.0
    """Weight of the penalty of the gradient of the discriminator."""
    perturbation: Weight = 0.1
    """Size of the perturbation with which that gradient is estimated."""
    elbo: Weight = 1.0
    """Weight of the loss of the phase ``autoencoder`` per pixel, by which stamps are still
    reproduced."""


class Adversarial(Phase):
    """Fit the decoder so that sampled sources cannot be told from observed ones.

    Where the prior of the latents differs from what the encoder finds, samples are a mean of all
    structure that is possible.  In this phase sources are sampled for the columns of training
    stamps, and observed with the PSF, the noise and the clipping of these.  The loss is that of
    relativistic pairs (Jolicoeur-Martineau 2019, arXiv:1807.00734) with a penalty of the gradient
    of the discriminator (Huang et al. 2024, arXiv:2501.05441), and that of the phase
    ``autoencoder``, which fits the encoder too.

    >>> Adversarial.name, Adversarial.Settings(steps=10).elbo
    ('adversarial', 1.0)
    """

    name = "adversarial"
    Settings: ClassVar[type[PhaseSettings]] = AdversarialSettings
    builds_on: ClassVar[tuple[str, ...]] = ("autoencoder",)
    settings: AdversarialSettings

    def __init__(self, family: "VDVAE", settings: Any) -> None:
        super().__init__(settings, family.recipe.seed)
        self.family = family
        self.reconstruction = VeryDeepAutoencoding(family, family.fit["autoencoder"])
        self.discriminator = StampDiscriminator()
        size = family.recipe.stamp.size
        self.discriminator(tf.zeros([1, size, size, 2]),
                           tf.zeros([1, len(family.recipe.columns) + 1]))
        self.networks = dict(family.autoencoder.networks)
        self.generator_step = OptimiserStep(
            self.reconstruction.variables, make_optimizer(settings, **BETAS), settings.clip, False)
        self.discriminator_step = OptimiserStep(
            self.discriminator.trainable_variables,
            make_optimizer(settings, use_ema=False, **BETAS), settings.clip, False)

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed + 5, start)

    def step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        real = self._view(batch["stamp"], batch)
        fake = self._view(tf.stop_gradient(self._sampled(batch, step)), batch)
        loss, scalars, _ = self.discriminator_step.step(
            lambda: self._discriminator_loss(real, fake, batch, step))
        _, more, norm = self.generator_step.step(lambda: self._generator_loss(real, batch, step))
        return dict(scalars, **more, loss=loss, gradient_norm=norm)

    def _sampled(self, batch: Batch, step: tf.Tensor) -> tf.Tensor:
        """Sources sampled for the columns of a batch, as they would be observed, [N, S, S]."""
        count, size = tf.shape(batch["stamp"])[0], batch["stamp"].shape[1]
        autoencoder, sigma = self.family.autoencoder, batch["noise_sigma"]
        profiles = autoencoder.sample(
            self.normal(step, count, autoencoder.noise_size, LATENTS), batch)
        noise = tf.reshape(self.normal(step, count, size * size, NOISE), [-1, size, size])
        stamps = observe(profiles, batch["psf"], sigma, batch["noise_power"], noise)
        threshold, peak = (tf.convert_to_tensor(value) for value in (
            self.family.clipping.threshold, self.family.clipping.peak))
        return clipped_if(stamps, sigma, threshold, peak)

    def _view(self, stamps: tf.Tensor, batch: Batch) -> tf.Tensor:
        """What the discriminator sees of stamps: [N, S, S, 2]."""
        signal = stamps / batch["noise_sigma"][:, None, None]
        peak = tf.maximum(tf.reduce_max(signal, axis=[1, 2], keepdims=True), 1.0)
        return tf.stack([0.5 * tf.asinh(signal), 2.0 * signal / peak], axis=-1)

    def _judged(self, view: tf.Tensor, batch: Batch, copies: int = 1) -> tf.Tensor:
        """The scores of views; ``copies`` of the batch, one after the other."""
        peak = tf.math.log(tf.reduce_max(tf.sinh(2.0 * view[..., 0]), axis=[1, 2]) + 1.0)
        conditions = tf.tile(self.family.conditions(batch), [copies, 1])
        return self.discriminator(view, tf.concat([conditions, 0.3 * peak[:, None]], axis=-1))

    def _discriminator_loss(self, real: tf.Tensor, fake: tf.Tensor, batch: Batch, step: tf.Tensor
                            ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        maps = tf.concat([real, fake], axis=0)
        penalty, scores = gradient_penalty(
            lambda images: self._judged(images, batch, 4), maps,
            self.normal(step, tf.shape(maps)[0], int(np.prod(maps.shape[1:])), PERTURBATION),
            self.settings.perturbation)
        on_real, on_fake = tf.split(scores, 2)
        loss = pair_loss(on_real, on_fake)
        return loss + 0.5 * self.settings.penalty * penalty, dict(
            discriminator=loss, penalty=penalty)

    def _generator_loss(self, real: tf.Tensor, batch: Batch, step: tf.Tensor
                        ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        on_fake = self._judged(self._view(self._sampled(batch, step), batch), batch)
        on_real = tf.stop_gradient(self._judged(real, batch))
        loss = pair_loss(on_fake, on_real)
        # After the steps of that phase, beta has its final value.
        elbo, scalars = self.reconstruction.loss(batch, step + self.reconstruction.settings.steps)
        pixels = batch["stamp"].shape[1] * batch["stamp"].shape[2]
        return loss + self.settings.elbo * elbo / pixels, dict(scalars, generator=loss)

    def state(self) -> dict[str, Any]:
        return dict(self.networks, discriminator=self.discriminator,
                    **{f"{name}_{key}": value
                       for name, optimiser in (("generator", self.generator_step),
                                               ("critic", self.discriminator_step))
                       for key, value in optimiser.state().items()})

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        return self.reconstruction.evaluate(batch)

    def finish(self, dataset: Dataset) -> None:
        self.generator_step.optimizer.finalize_variable_values(self.generator_step.variables)
