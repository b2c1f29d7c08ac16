"""The phase in which a discriminator compares sampled galaxies with observed ones."""

__all__ = ["Adversarial", "AdversarialSettings"]

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ....data.dataset import Dataset
from ....fitting.optimiser_step import OptimiserStep
from ....fitting.optimisers import make_optimizer
from ....fitting.phase import Batch, Phase
from ....physics.convolution import convolve, psf_transfer
from ....physics.likelihood import fourier_chi_square
from ....physics.observation import observe
from ....recipe import PhaseSettings, Recipe
from ....settings import Weight
from ...shared.relativistic_pairs import gradient_penalty, pair_loss
from ..autoencoders.polar_frame import PolarFrameAutoencoder
from ..model import FlowVAEModel
from ..networks.polar_discriminator import PolarDiscriminator

BETAS: dict[str, Any] = dict(beta_1=0.0, beta_2=0.99)
"""Parameters of Adam, for both networks."""
# Streams of random numbers, see `Phase.normal`.
NOISE, PERTURBATION, POSTERIOR = 1, 2, 3


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
    """Weight of the ELBO per pixel, which keeps the galaxies that are encoded."""


class Adversarial(Phase):
    """Fit the decoder so that sampled galaxies cannot be told from observed ones.

    The decoder of a variational autoencoder gives the mean of all structure that is possible, so
    that it blurs what the latents do not determine.  In this phase, galaxies are sampled for the
    columns of training stamps, and observed through the PSFs of these with noise of the same power.
    A discriminator sees both as the encoder does, on the polar grid of the galaxy, where a few
    hundred galaxies are many examples of arms and knots.

    The loss is that of relativistic pairs (Jolicoeur-Martineau 2019, arXiv:1807.00734), with a
    penalty of the gradient of the discriminator at real and sampled galaxies (R1 and R2; Huang et
    al. 2024, arXiv:2501.05441), which is estimated from a random perturbation of its input.  The
    ELBO remains a part of the loss, so that encoded galaxies are still reconstructed.

    Only the part of the decoder that makes the structure is fitted.  Envelope, encoder and flows
    stay as they are: if they are fitted as well, the adversarial loss changes sizes and profiles,
    which the likelihood determines better.

    >>> Adversarial.name, Adversarial.builds_on
    ('adversarial', ('flow',))
    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/cosmos_25.2_flow_vae.yaml")
    >>> Adversarial.check_settings({}, recipe)
    Traceback (most recent call last):
    galsim.errors.GalSimConfigError: The recipe ...fit.adversarial, needs the autoencoder \
'polar_frame', whose views the discriminator sees.
    """

    name = "adversarial"
    Settings = AdversarialSettings
    builds_on: ClassVar[tuple[str, ...]] = ("flow",)

    settings: AdversarialSettings

    def __init__(self, family: FlowVAEModel, settings: AdversarialSettings) -> None:
        super().__init__(settings, family.recipe.seed)
        self.family = family
        self.discriminator = PolarDiscriminator()
        autoencoder = self._autoencoder
        rows = autoencoder.settings.rows
        size = len(family.recipe.columns) + 3
        self.discriminator(tf.zeros([1, rows, 2 * rows, 3]), tf.zeros([1, size]),
                           tf.zeros([1, 2 * rows]))
        self.networks = dict(autoencoder.networks)
        variables = autoencoder.decoder.structure_variables
        self.generator_step = OptimiserStep(
            variables, make_optimizer(settings, **BETAS), settings.clip, False)
        self.discriminator_step = OptimiserStep(
            self.discriminator.trainable_variables,
            make_optimizer(settings, use_ema=False, **BETAS), settings.clip, False)

    @property
    def _autoencoder(self) -> PolarFrameAutoencoder:
        autoencoder = self.family.autoencoder
        assert isinstance(autoencoder, PolarFrameAutoencoder)  # by `check_settings`
        return autoencoder

    @classmethod
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        if recipe.model.settings["autoencoder"]["kind"] != "polar_frame":
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.adversarial, needs the autoencoder 'polar_frame', "
                "whose views the discriminator sees.")

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed + 5, start)

    def step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        sampled = tf.stop_gradient(self._sampled(batch, step))
        real, fake = self._views(batch["stamp"], batch), self._views(sampled, batch)
        loss, scalars, _ = self.discriminator_step.step(
            lambda: self._discriminator_loss(real, fake, step))
        _, more, norm = self.generator_step.step(lambda: self._generator_loss(batch, real, step))
        return dict(scalars, **more, loss=loss, gradient_norm=norm)

    def _sampled(self, batch: Batch, step: tf.Tensor) -> tf.Tensor:
        """Galaxies sampled for the columns of a batch, as they would be observed, [N, S, S]."""
        count, size = tf.shape(batch["stamp"])[0], batch["stamp"].shape[1]
        profiles = self.family.sample(
            self.normal(step, count, self.family.latent_size), batch)
        noise = tf.reshape(self.normal(step, count, size * size, NOISE), [-1, size, size])
        return observe(profiles, batch["psf"], batch["noise_sigma"], batch["noise_power"], noise)

    def _views(self, stamps: tf.Tensor, batch: Batch) -> tuple[tf.Tensor, ...]:
        view = self._autoencoder.view(
            stamps, batch["psf"], batch["noise_sigma"], batch)
        conditions = tf.concat([self.family.conditions(batch), view.scalars], axis=-1)
        return view.maps, conditions, view.rings

    def _discriminator_loss(self, real: tuple[tf.Tensor, ...], fake: tuple[tf.Tensor, ...],
                            step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        count = tf.shape(real[0])[0]
        maps, *rest = (tf.concat(pair, axis=0) for pair in zip(real, fake, strict=True))
        twice = [tf.concat([values, values], axis=0) for values in rest]
        penalty, scores = gradient_penalty(
            lambda images: self.discriminator(images, *twice), maps,
            self.normal(step, 2 * count, int(np.prod(maps.shape[1:])), PERTURBATION),
            self.settings.perturbation)
        on_real, on_fake = tf.split(scores, 2)
        loss = pair_loss(on_real, on_fake)
        return loss + 0.5 * self.settings.penalty * penalty, dict(
            discriminator=loss, penalty=penalty, real=tf.reduce_mean(on_real),
            fake=tf.reduce_mean(on_fake))

    def _generator_loss(self, batch: Batch, real: tuple[tf.Tensor, ...],
                        step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        on_fake = self.discriminator(*self._views(self._sampled(batch, step), batch))
        on_real = tf.stop_gradient(self.discriminator(*real))
        loss = pair_loss(on_fake, on_real)
        elbo, scalars = self._elbo(batch, step)
        return loss + self.settings.elbo * elbo, dict(scalars, generator=loss)

    def _elbo(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The negative ELBO per pixel, with a fit that bright galaxies do not dominate."""
        stamps, sigma, size = batch["stamp"], batch["noise_sigma"], batch["stamp"].shape[1]
        autoencoder = self._autoencoder
        normal = self.normal(step, tf.shape(stamps)[0], autoencoder.latent_size, POSTERIOR)
        inference = autoencoder.infer(batch, normal, tf.constant(1.0))
        models = convolve(inference.profiles, psf_transfer(batch["psf"], size))
        chi = fourier_chi_square(stamps, models, sigma, batch["noise_power"]) / size**2
        fit = tf.reduce_mean(tf.math.log1p(tf.nn.relu(chi - 1.0)))
        kl = tf.reduce_mean(tf.add_n(list(inference.kl.values()))) / size**2
        return fit + kl, dict(log_excess=fit, kl=kl * size**2)

    def state(self) -> dict[str, Any]:
        return dict(self.networks, discriminator=self.discriminator,
                    **{f"generator_{key}": value
                       for key, value in self.generator_step.state().items()},
                    **{f"discriminator_{key}": value
                       for key, value in self.discriminator_step.state().items()})

    def finish(self, dataset: Dataset) -> None:
        self.generator_step.optimizer.finalize_variable_values(self.generator_step.variables)
