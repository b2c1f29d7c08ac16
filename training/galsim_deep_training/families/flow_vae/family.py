"""Flow-VAE: a variational autoencoder for light profiles with a conditional flow as its prior.

Lanusse et al. 2021 (MNRAS 504, 5543; arXiv:2008.03833), sections 2 and 3: the decoder makes a
profile, the forward model convolves it with the galaxy's own PSF, the likelihood is that of the
observed pixels given their noise (eqs. 2, 4, 5); the ELBO leaves some bits free (eq. 10); a
normalizing flow then learns the distribution of the latents of the training set given the catalogue
columns (section 3.3).

The recipe chooses the autoencoder, see
`galsim_deep_training.families.flow_vae.autoencoders`.
"""

__all__ = ["FlowVAE"]

import functools

import tensorflow as tf

from ...data.dataset import Dataset
from ...networks.flows import Flow, MapFlow
from ...networks.imputation import Imputation
from ...physics.noise_power import NoisePower
from ...recipe import Recipe
from ...registry import Choice
from ...settings import Count, Settings
from ..base import TOLERANCE, Columns, ModelFamily, Signature
from ..shared.column_imputation import ColumnImputation
from ..shared.refinement import refine
from ..shared.signatures import (
    decode_signature,
    encode_signature,
    log_prob_signature,
    sample_signature,
)
from .autoencoders import FlowAutoencoder
from .networks.latent_prior import FlowPrior
from .phases.autoencoder import AutoencoderPhase, Structure
from .phases.latent_flow import LatentFlow
from .phases.matching import Matching

REFINED_TOLERANCE = 1e-2
"""The tolerance of ``encode`` if it maximises the posterior: many steps amplify rounding errors."""


class FlowVAESettings(Settings):
    """Settings of the ``flow_vae`` family (``model`` of a recipe)."""

    autoencoder: Choice[FlowAutoencoder]
    """See `galsim_deep_training.families.flow_vae.autoencoders`."""
    flow: Choice[Flow] = Flow.by_default("spline_coupling")
    """The flow of the latent vector, see `networks.flows`."""
    detail_flow: Choice[MapFlow] = MapFlow.by_default("map_coupling")
    """The flow of the maps of latents, if the autoencoder has any."""
    refinement: Count = 30
    """Number of steps by which the signature ``encode`` maximises the posterior of the latents,
    see `families.shared.refinement`."""


class FlowVAE(ModelFamily, kind="flow_vae"):
    """The model family ``flow_vae``; see the module's docstring.

    The parameters are those of `ModelFamily`.  In the shapes below, N is the number of galaxies, S
    the size of a stamp and L the length of the latent that the autoencoder decodes.

    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/lanusse2021.yaml")
    >>> settings = FlowVAE.Settings(
    ...     autoencoder=dict(kind="lanusse2021", latent_size=4, depth=4, stages=2, blocks=1),
    ...     flow=dict(kind="affine_coupling", layers=1, hidden=8))
    >>> family = FlowVAE(settings, recipe)
    >>> family.sample(tf.zeros([1, family.latent_size]), family.example_columns()).shape
    TensorShape([1, 128, 128])
    """

    Settings = FlowVAESettings
    phase_types = (AutoencoderPhase, Structure, LatentFlow, Matching, ColumnImputation)
    optional_phases = ("structure", "matching")
    optional_columns = True

    settings: FlowVAESettings

    def __init__(self, settings: FlowVAESettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self.autoencoder = settings.autoencoder.make(recipe, self.conditions)
        self.imputation = Imputation(len(recipe.columns), seed=recipe.seed)
        self.noise = NoisePower(recipe.stamp.size)
        self.prepared.update(noise=self.noise)
        self._create_weights()
        # Made last, so that the initial weights of the others do not depend on the flows.
        self.prior = self._make_prior()
        self._parts = [
            self.autoencoder.position_angle_size, sum(self.prior.sizes), len(recipe.columns)]
        self.latent_size = sum(self._parts)
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
        position_angle_latents, shape, missing = tf.split(normal, self._parts, axis=-1)
        columns = self.imputed(columns, missing)
        shape = self.prior(shape, self.conditions(columns))
        return self.autoencoder.generate(position_angle_latents, shape, columns)

    def shape(self, latent: tf.Tensor) -> tf.Tensor:
        """Latents [N, K] without the pose: those whose distribution the flows learn."""
        return latent[:, self.autoencoder.pose_size:]

    def log_prob(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Log-density of latents [N, K] without the pose, given the columns, [N]."""
        return self.prior.log_prob(self.shape(latent), self.conditions(columns))

    def signatures(self) -> dict[str, Signature]:
        size = self.autoencoder.latent_size

        encode = functools.partial(self.encode, refinement=self.settings.refinement)
        return dict(sample=sample_signature(self, self.sample),
                    decode=decode_signature(self, size, self.decode),
                    encode=encode_signature(
                        self, encode, REFINED_TOLERANCE if self.settings.refinement else TOLERANCE),
                    log_prob=log_prob_signature(self, size, self.log_prob))
