"""The phase in which a discriminator compares sampled galaxies with observed ones."""

__all__ = ["Adversarial", "AdversarialSettings", "Views"]

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from ...data.dataset import Dataset
from ...fitting.optimiser_step import OptimiserStep
from ...fitting.optimisers import make_optimizer
from ...fitting.phase import Batch, Phase
from ...recipe import PhaseSettings
from ...settings import Weight
from ..base import ModelFamily
from .relativistic_pairs import gradient_penalty, pair_loss

BETAS: dict[str, Any] = dict(beta_1=0.0, beta_2=0.99)
"""Parameters of Adam, for both networks."""

Views: TypeAlias = tuple[tf.Tensor, ...]
"""What the discriminator sees of N stamps: images [N, ...], and whatever belongs to them, with one
row for each stamp."""


class AdversarialSettings(PhaseSettings):
    """Settings of the phase ``adversarial``.

    >>> AdversarialSettings(steps=1000, elbo=2.0).penalty
    1.0
    """

    penalty: Weight = 1.0
    """Weight of the penalty of the gradient of the discriminator."""
    perturbation: Weight = 0.1
    """Size of the perturbation with which that gradient is estimated."""
    elbo: Weight = 1.0
    """Weight of the loss per pixel by which stamps are reproduced."""


class Adversarial(Phase):
    """Fit a generator so that sampled galaxies cannot be told from observed ones.

    The decoder of a variational autoencoder gives the mean of all structure that is possible, so
    that it blurs what the latents do not determine.  In this phase, galaxies are sampled for the
    columns of training stamps, and observed as these were.  A discriminator sees both.

    The loss is that of relativistic pairs (Jolicoeur-Martineau 2019, arXiv:1807.00734), with a
    penalty of the gradient of the discriminator at real and sampled galaxies (R1 and R2; Huang et
    al. 2024, arXiv:2501.05441), which is estimated from a random perturbation of its input.  The
    loss by which the autoencoder was fitted remains, so that stamps are still reproduced.

    Parameters:
        family:         The model family.
        settings:       `AdversarialSettings`.
        networks:       Networks that are saved, by name.
        variables:      The variables of the generator that are fitted.
        discriminator:  The discriminator, which has been built.

    Families override `sampled`, `views`, `scores` and `reproduction`.

    >>> Adversarial.name, sorted(Adversarial.__abstractmethods__)
    ('adversarial', ['reproduction', 'sampled', 'scores', 'views'])
    """

    name = "adversarial"
    Settings: ClassVar[type[PhaseSettings]] = AdversarialSettings
    settings: AdversarialSettings
    perturbation_stream: ClassVar[int]
    """Stream of the random numbers that perturb what the discriminator sees, see `Phase.normal`."""

    def __init__(self, family: ModelFamily, settings: AdversarialSettings,
                 networks: Mapping[str, keras.layers.Layer],
                 variables: Sequence[keras.Variable], discriminator: keras.Model) -> None:
        super().__init__(settings, family.recipe.seed)
        self.networks, self.discriminator = dict(networks), discriminator
        self.generator_step = OptimiserStep(
            variables, make_optimizer(settings, **BETAS), settings.clip)
        self.discriminator_step = OptimiserStep(
            discriminator.trainable_variables,
            make_optimizer(settings, use_ema=False, **BETAS), settings.clip)

    @abc.abstractmethod
    def sampled(self, batch: Batch, step: tf.Tensor) -> tf.Tensor:
        """Galaxies sampled for the columns of a batch, as they would be observed, [N, S, S]."""

    @abc.abstractmethod
    def views(self, stamps: tf.Tensor, batch: Batch) -> Views:
        """What the discriminator sees of stamps [N, S, S] of the galaxies of a batch."""

    @abc.abstractmethod
    def scores(self, views: Views) -> tf.Tensor:
        """The discriminator's scores of views, [N], higher for real galaxies."""

    @abc.abstractmethod
    def reproduction(self, batch: Batch, step: tf.Tensor
                     ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss per pixel by which stamps are reproduced, and scalars to log."""

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed + 5, start)

    def step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        sampled = tf.stop_gradient(self.sampled(batch, step))
        real, fake = self.views(batch["stamp"], batch), self.views(sampled, batch)
        loss, scalars, _ = self.discriminator_step.step(
            lambda: self._discriminator_loss(real, fake, step))
        _, more, norm = self.generator_step.step(lambda: self._generator_loss(real, batch, step))
        return dict(scalars, **more, loss=loss, gradient_norm=norm)

    def _discriminator_loss(self, real: Views, fake: Views, step: tf.Tensor
                            ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        images, *rest = (tf.concat(pair, axis=0) for pair in zip(real, fake, strict=True))
        twice = [tf.concat([values, values], axis=0) for values in rest]
        penalty, scores = gradient_penalty(
            lambda images: self.scores((images, *twice)), images,
            self.normal(step, tf.shape(images)[0], int(np.prod(images.shape[1:])),
                        self.perturbation_stream),
            self.settings.perturbation)
        on_real, on_fake = tf.split(scores, 2)
        loss = pair_loss(on_real, on_fake)
        return loss + 0.5 * self.settings.penalty * penalty, dict(
            discriminator=loss, penalty=penalty, real=tf.reduce_mean(on_real),
            fake=tf.reduce_mean(on_fake))

    def _generator_loss(self, real: Views, batch: Batch, step: tf.Tensor
                        ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        on_fake = self.scores(self.views(self.sampled(batch, step), batch))
        on_real = tf.stop_gradient(self.scores(real))
        loss = pair_loss(on_fake, on_real)
        reproduction, scalars = self.reproduction(batch, step)
        return loss + self.settings.elbo * reproduction, dict(scalars, generator=loss)

    def state(self) -> dict[str, Any]:
        return dict(self.networks, discriminator=self.discriminator,
                    **{f"{name}_{key}": value
                       for name, optimiser in (("generator", self.generator_step),
                                               ("critic", self.discriminator_step))
                       for key, value in optimiser.state().items()})

    def finish(self, dataset: Dataset) -> None:
        self.generator_step.optimizer.finalize_variable_values(self.generator_step.variables)
