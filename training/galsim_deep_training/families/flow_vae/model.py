"""The networks of the Flow-VAE, and what they compute.

The phases of `families.flow_vae.phases` fit these networks; `families.flow_vae.family` makes a
model family of both.
"""

__all__ = ["FlowVAEModel"]

import tensorflow as tf
from galsim import GalSimConfigError

from ...data.dataset import Dataset
from ...networks.imputation import Imputation
from ...physics.noise_power import NoisePower
from ...recipe import Recipe
from ..base import Columns, ModelFamily
from ..shared.refinement import refine
from .autoencoders.base import AnySizeAutoencoder
from .networks.latent_prior import FlowPrior
from .settings import FlowVAESettings


class FlowVAEModel(ModelFamily):
    """Autoencoder, and flow of its latents; the base class of the family `FlowVAE`.

    The parameters are those of `ModelFamily`.  In the shapes below, N is the number of galaxies, S
    the size of a stamp, K the length of the latent that the autoencoder decodes, and L the number
    of random numbers that a galaxy takes.

    >>> from galsim_deep_training.families.flow_vae import FlowVAE
    >>> issubclass(FlowVAE, FlowVAEModel), FlowVAEModel.optional_columns
    (True, True)
    """

    Settings = FlowVAESettings
    optional_columns = True

    settings: FlowVAESettings

    def __init__(self, settings: FlowVAESettings, recipe: Recipe) -> None:
        if not recipe.columns:
            raise GalSimConfigError(f"The recipe {recipe.path} has no columns, on which the "
                                    f"family '{self.kind}' conditions its flow. Add columns.")
        super().__init__(settings, recipe)
        self.autoencoder = settings.autoencoder.make(recipe, self.conditions)
        self.chooses_stamps = isinstance(self.autoencoder, AnySizeAutoencoder)
        self.imputation = Imputation(len(recipe.columns), seed=recipe.seed)
        self.noise = NoisePower(recipe.stamp.size)
        self.prepared.update(noise=self.noise)
        self._create_weights()
        # Made last, so that the initial weights of the others do not depend on the flows.
        self.prior = self._make_prior()
        self._parts = [
            self.autoencoder.position_angle_size, sum(self.prior.sizes), len(recipe.columns)]
        self.latent_size = sum(self._parts)
        self.draws_position_angle = self.autoencoder.position_angle_size >= 2
        self.sample(tf.ones([1, self.latent_size]), self.example_columns())
        self.networks.update(self.autoencoder.networks, prior=self.prior,
                             imputation=self.imputation, noise=self.noise)

    def _make_prior(self) -> FlowPrior:
        settings, seed = self.settings, self.recipe.seed
        vector = settings.flow.make(self.autoencoder.vector_size, seed=seed)
        if not self.autoencoder.detail_size:
            return FlowPrior(vector)
        return FlowPrior(
            vector, settings.detail_flow.make(self.autoencoder.detail_shapes, seed=seed))

    def _create_weights(self) -> None:
        columns = self.example_columns()
        stamp, psf = self.recipe.stamp.size, self.recipe.stamp.psf_size
        mean, _ = self.encode(
            tf.zeros([1, stamp, stamp]), tf.zeros([1, psf, psf]), tf.ones([1]), columns)
        self.decode(mean, columns)
        self.imputed(columns)

    def prepare(self, dataset: Dataset) -> None:
        super().prepare(dataset)
        self.autoencoder.prepare(dataset)
        self.noise.adapt(dataset)

    # The methods below work eagerly and in graphs.

    def encode(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor, columns: Columns,
               refinement: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and scale of the posterior of the latents, [N, K] each.

        If ``refinement`` is positive, the mean is improved by this number of steps, see
        `families.shared.refinement`.
        """
        mean, scale = self.autoencoder.encode(stamps, psfs, noise_sigma, columns)
        if refinement:
            power = self.noise.spectrum()
            is_white = self.fit["autoencoder"].likelihood == "pixel"
            # The posterior of position, size and flux is narrow. In units of its scale, the steps
            # would be too short for a stamp that differs from the catalogue.
            pose = tf.range(mean.shape[1]) < self.autoencoder.pose_size
            mean = refine(
                lambda latent: self.decode(latent, columns), mean,
                tf.where(pose, tf.maximum(scale, 1.0), scale),
                dict(stamp=stamps, psf=psfs, noise_sigma=noise_sigma),
                tf.ones_like(power) if is_white else power,
                refinement, fixed=self.autoencoder.position_angle_size)
        return mean, scale

    def decode(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        """The light profiles [N, S, S] before PSF and pixel of latents [N, K]."""
        return self.autoencoder.decode(latent, columns)

    def sample(self, normal: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Convert standard normal numbers [N, L] to light profiles [N, S, S]."""
        return self.autoencoder.generate(*self._latents(normal, columns))

    def latents(self, normal: tf.Tensor, columns: Columns) -> dict[str, tf.Tensor]:
        """The same galaxies before they are drawn.

        Parameters:
            normal:     Standard normal numbers, [N, L].
            columns:    By name, [N] each.

        Returns:
            a dict of ``latent``, all that `draw` needs to know of each galaxy, [N, V], and
            ``extent``, half the side of the stamp that it needs [arcsec], [N].
        """
        position_angle_latents, shape, columns = self._latents(normal, columns)
        extent = self.recipe.stamp.pixel_scale * self._any_size.extent(
            position_angle_latents, shape[:, :self.autoencoder.vector_size], columns)
        values = tf.stack([columns[column.name] for column in self.recipe.columns], axis=-1)
        return dict(latent=tf.concat([position_angle_latents, shape, values], axis=-1),
                    extent=extent)

    def draw(self, size: int, latent: tf.Tensor, pixel_scale: tf.Tensor) -> tf.Tensor:
        """Draw what `latents` gives, [N, V], on stamps of Z pixels [arcsec]: [N, Z, Z].

        At the edge the light is zero.
        """
        position_angle_latents, shape, values = tf.split(latent, self._parts, axis=-1)
        columns = {column.name: value for column, value in zip(
            self.recipe.columns, tf.unstack(values, axis=-1), strict=True)}
        return self._any_size.generate_on(
            size, position_angle_latents, shape, dict(columns, pixel_scale=pixel_scale))

    @property
    def _any_size(self) -> AnySizeAutoencoder:
        assert isinstance(self.autoencoder, AnySizeAutoencoder)  # by ``chooses_stamps``
        return self.autoencoder

    def _latents(self, normal: tf.Tensor, columns: Columns
                 ) -> tuple[tf.Tensor, tf.Tensor, Columns]:
        """Latents of the position angle, those of the shape, and the columns with none missing."""
        position_angle_latents, shape, missing = tf.split(normal, self._parts, axis=-1)
        columns = self.imputed(columns, missing)
        return position_angle_latents, self.prior(shape, self.conditions(columns)), columns

    def shape(self, latent: tf.Tensor) -> tf.Tensor:
        """Latents [N, K] without the pose: those whose distribution the flows learn."""
        return latent[:, self.autoencoder.pose_size:]

    def log_prob(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Log-density of latents [N, K] without the pose, given the columns, [N]."""
        return self.prior.log_prob(self.shape(latent), self.conditions(columns))
