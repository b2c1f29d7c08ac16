"""The phase in which a discriminator compares sampled galaxies with observed ones."""

__all__ = ["Adversarial"]

from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf
from galsim import GalSimConfigError

from ....fitting.phase import Batch
from ....physics.convolution import convolve, psf_transfer
from ....physics.likelihood import fourier_chi_square
from ....physics.observation import observe
from ....recipe import Recipe
from ...shared import adversarial
from ..autoencoders.polar_frame import PolarFrameAutoencoder
from ..model import FlowVAEModel
from ..networks.polar_discriminator import PolarDiscriminator

# Streams of random numbers, see `Phase.normal`.
NOISE, PERTURBATION, POSTERIOR = 1, 2, 3


class Adversarial(adversarial.Adversarial):
    """Fit the decoder so that sampled galaxies cannot be told from observed ones.

    The discriminator sees galaxies as the encoder does, on the polar grid of the galaxy, where a
    few hundred galaxies are many examples of arms and knots.

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

    builds_on: ClassVar[tuple[str, ...]] = ("flow",)
    perturbation_stream = PERTURBATION

    def __init__(self, family: FlowVAEModel, settings: adversarial.AdversarialSettings) -> None:
        self.family = family
        autoencoder, discriminator = self._autoencoder, PolarDiscriminator()
        rows = autoencoder.settings.rows
        discriminator(tf.zeros([1, rows, 2 * rows, 3]),
                      tf.zeros([1, len(family.recipe.columns) + 3]), tf.zeros([1, 2 * rows]))
        super().__init__(family, settings, autoencoder.networks,
                         autoencoder.decoder.structure_variables, discriminator)

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

    def sampled(self, batch: Batch, step: tf.Tensor) -> tf.Tensor:
        count, size = tf.shape(batch["stamp"])[0], batch["stamp"].shape[1]
        profiles = self.family.sample(
            self.normal(step, count, self.family.latent_size), batch)
        noise = tf.reshape(self.normal(step, count, size * size, NOISE), [-1, size, size])
        return observe(profiles, batch["psf"], batch["noise_sigma"], batch["noise_power"], noise)

    def views(self, stamps: tf.Tensor, batch: Batch) -> adversarial.Views:
        view = self._autoencoder.view(
            stamps, batch["psf"], batch["noise_sigma"], batch)
        conditions = tf.concat([self.family.conditions(batch), view.scalars], axis=-1)
        return view.maps, conditions, view.rings

    def scores(self, views: adversarial.Views) -> tf.Tensor:
        return self.discriminator(*views)

    def reproduction(self, batch: Batch, step: tf.Tensor
                     ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
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
