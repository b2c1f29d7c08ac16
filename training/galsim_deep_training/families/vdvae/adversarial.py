"""The phase in which a discriminator compares sampled sources with observed ones."""

__all__ = ["Adversarial"]

from typing import TYPE_CHECKING, ClassVar

import tensorflow as tf

from ...fitting.phase import Batch
from ...physics.observation import clipped_if, observe
from ..shared import adversarial
from .discriminator import StampDiscriminator
from .phase import VeryDeepAutoencoding

if TYPE_CHECKING:
    from .family import VDVAE

# Streams of random numbers, see `Phase.normal`.
NOISE, PERTURBATION, LATENTS = 11, 12, 13


class Adversarial(adversarial.Adversarial):
    """Fit the decoder so that sampled sources cannot be told from observed ones.

    Where the prior of the latents differs from what the encoder finds, samples are a mean of all
    structure that is possible.  In this phase sources are sampled for the columns of training
    stamps, and observed with the PSF, the noise and the clipping of these.  The loss of the phase
    ``autoencoder`` remains a part of the loss, which fits the encoder too.

    >>> Adversarial.name, Adversarial.Settings(steps=10).elbo
    ('adversarial', 1.0)
    """

    builds_on: ClassVar[tuple[str, ...]] = ("autoencoder",)
    perturbation_stream = PERTURBATION

    def __init__(self, family: "VDVAE", settings: adversarial.AdversarialSettings) -> None:
        self.family = family
        self.reconstruction = VeryDeepAutoencoding(family, family.fit["autoencoder"])
        discriminator, size = StampDiscriminator(), family.recipe.stamp.size
        discriminator(tf.zeros([1, size, size, 2]), tf.zeros([1, len(family.recipe.columns) + 1]))
        super().__init__(family, settings, family.autoencoder.networks,
                         self.reconstruction.variables, discriminator)

    def sampled(self, batch: Batch, step: tf.Tensor) -> tf.Tensor:
        count, size = tf.shape(batch["stamp"])[0], batch["stamp"].shape[1]
        autoencoder, sigma = self.family.autoencoder, batch["noise_sigma"]
        profiles = autoencoder.sample(
            self.normal(step, count, autoencoder.noise_size, LATENTS), batch)
        noise = tf.reshape(self.normal(step, count, size * size, NOISE), [-1, size, size])
        stamps = observe(profiles, batch["psf"], sigma, batch["noise_power"], noise)
        threshold, peak = (tf.convert_to_tensor(value) for value in (
            self.family.clipping.threshold, self.family.clipping.peak))
        return clipped_if(stamps, sigma, threshold, peak)

    def views(self, stamps: tf.Tensor, batch: Batch) -> adversarial.Views:
        signal = stamps / batch["noise_sigma"][:, None, None]
        peak = tf.maximum(tf.reduce_max(signal, axis=[1, 2], keepdims=True), 1.0)
        images = tf.stack([0.5 * tf.asinh(signal), 2.0 * signal / peak], axis=-1)
        return images, self.family.conditions(batch)

    def scores(self, views: adversarial.Views) -> tf.Tensor:
        images, conditions = views
        peak = tf.math.log(tf.reduce_max(tf.sinh(2.0 * images[..., 0]), axis=[1, 2]) + 1.0)
        return self.discriminator(
            images, tf.concat([conditions, 0.3 * peak[:, None]], axis=-1))

    def reproduction(self, batch: Batch, step: tf.Tensor
                     ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        # After the steps of that phase, beta has its final value.
        elbo, scalars = self.reconstruction.loss(batch, step + self.reconstruction.settings.steps)
        return elbo / (batch["stamp"].shape[1] * batch["stamp"].shape[2]), scalars

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        return self.reconstruction.evaluate(batch)
