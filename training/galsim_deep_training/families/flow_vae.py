"""Flow-VAE: a variational autoencoder for light profiles with a conditional flow as its prior.

Lanusse et al. 2021 (MNRAS), sections 2 and 3: the decoder makes a profile, the forward model
convolves it with the galaxy's own PSF, the likelihood is that of the observed pixels given their
noise (eqs. 2, 4, 5); the ELBO leaves some bits free (eq. 10); a normalizing flow then learns the
distribution of the latents of the training set given the catalogue columns (section 3.3).

What encodes and decodes is chosen by the recipe, see `galsim_deep_training.autoencoders`.
"""

__all__ = ["FlowVAE"]

from typing import Any, Literal

import tensorflow as tf
from galsim import GalSimConfigError

from ..autoencoders import Autoencoder
from ..autoencoders.refine import refine
from ..bounds import Count, Jitter, PositiveShare, Share, Weight
from ..networks.completion import Completion
from ..networks.flows import (
    FlowChoice,
    MapFlowSettings,
    all_flow_settings,
    all_map_flow_settings,
    make_flow,
    make_map_flow,
)
from ..networks.latent_prior import LatentPrior
from ..networks.noise_power import NoisePower
from ..phases.autoencoding import Autoencoding, Structure
from ..phases.columns import ColumnCompletion
from ..phases.latent_flow import LatentFlow
from ..phases.matching import Matching
from ..recipe import Settings
from .base import ModelFamily, Signature


class FlowVAESettings(Settings):
    """Settings of the ``flow_vae`` family (the ``model`` part of a recipe)."""

    autoencoder: dict[str, Any]
    """Its ``kind`` and its settings, see `galsim_deep_training.autoencoders`."""
    likelihood: Literal["pixel", "fourier"] = "fourier"
    """``pixel``: independent noise in each pixel (eq. 4); ``fourier``: correlated noise (eq. 5)."""
    free_bits: Weight = 8.0
    """Information in the vector latent that costs nothing [nats] (eq. 10)."""
    total_variation: Weight = 0.01
    """Weight of the total variation of the profile in units of the noise."""
    model_error: Share = 0.05
    """Relative error per pixel that is forgiven, see `physics.likelihood.error_floor_weight`; 0 for
    none."""
    structure_error: Share = 0.03
    """The same in the phase ``structure``; less than ``model_error``."""
    divergence_warm_up: Share = 0.05
    """Share of the fit over which the divergence's weight rises to one; 0 for at once."""
    flow: FlowChoice = {"kind": "spline"}
    """Its ``kind`` and its settings, see `networks.flows`."""
    detail_flow: MapFlowSettings = {}
    """Settings of the flow of the detail latents, see `networks.flows.maps`."""
    flow_share: PositiveShare = 1.0
    """Share of the training stamps, those with the least noise, that the flow learns from.

    What noise hides of a galaxy the encoder fills in from its standard normal prior, not from what
    galaxies are like. Worth it where depth does not go with the columns."""
    column_jitter: Jitter = 0.03
    """Noise on the standardised columns while the flow is fitted."""
    vector_jitter: Jitter = 0.0
    """Noise on the vector as the flow of the details sees it while it is fitted.

    With few sources the vector tells which of them it is.  A flow that knows learns the details of
    each by heart, and has blurred ones for the vectors in between that are drawn."""
    refinement: Count = 30
    """Steps towards the most probable latents in the signature ``encode``, see
    `autoencoders.refine`."""


class FlowVAE(ModelFamily, name="flow_vae"):
    """See the module's docstring."""

    Settings = FlowVAESettings
    phase_names = ("autoencoder", "flow", "columns")
    optional_phases = ("structure", "matching")
    optional_columns = True

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        kind, chosen = Autoencoder.chosen(settings.autoencoder, recipe, "model.autoencoder")
        self.autoencoder = kind(chosen, recipe, self.context)
        self._check_columns()
        self.completion = Completion(len(recipe.columns), seed=recipe.seed)
        self.noise = NoisePower(recipe.stamp.size)
        self._create_weights()
        # After the weights of the others, which must not depend on the settings of the flows.
        self.prior = self._make_prior()
        self._parts = [self.autoencoder.turn_size, sum(self.prior.sizes), len(recipe.columns)]
        self.latent_size = sum(self._parts)
        self.sample(tf.ones([1, self.latent_size]), self._one_galaxy())
        self.networks.update(self.autoencoder.networks, prior=self.prior,
                             completion=self.completion, noise=self.noise)

    def _make_prior(self):
        settings, seed = self.settings, self.recipe.seed
        vector = make_flow(latent_size=self.autoencoder.vector_size, seed=seed, **settings.flow)
        if not self.autoencoder.detail_size:
            return LatentPrior(vector)
        return LatentPrior(vector, make_map_flow(
            self.autoencoder.detail_shapes, seed=seed, **settings.detail_flow))

    @classmethod
    def all_settings(cls, settings, recipe):
        return dict(
            super().all_settings(settings, recipe),
            autoencoder=Autoencoder.filled_in(settings.autoencoder, recipe, "model.autoencoder"),
            flow=all_flow_settings(**settings.flow),
            detail_flow=all_map_flow_settings(**settings.detail_flow))

    def _check_columns(self):
        names = [column.name for column in self.recipe.columns]
        for key in ("size_column", "magnitude_column"):
            wanted = getattr(self.autoencoder.settings, key, None)
            if wanted is not None and wanted not in names:
                raise GalSimConfigError(
                    f"The recipe {self.recipe.path}, model.autoencoder.{key}, asks for the column "
                    f"'{wanted}'; its columns are: {', '.join(names)}.")
        for key, phase in (("model_error", "autoencoder"), ("structure_error", "structure")):
            if (phase in self.recipe.fit and getattr(self.settings, key)
                    and not hasattr(self.autoencoder.settings, "size_column")):
                raise GalSimConfigError(
                    f"The recipe {self.recipe.path}, model, forgives an error relative to a "
                    f"galaxy's mean brightness, but the autoencoder '{self.autoencoder.name}' "
                    f"knows no sizes: say {key}: 0.")
        if "structure" in self.recipe.fit and not (
                self.settings.structure_error < self.settings.model_error):
            raise GalSimConfigError(
                f"The recipe {self.recipe.path}, model, forgives a structure_error of "
                f"{self.settings.structure_error:g} and a model_error of "
                f"{self.settings.model_error:g}: the phase 'structure' is there to forgive less. "
                "Leave it out, or lower structure_error.")

    def _create_weights(self):
        one = self._one_galaxy()
        stamp, psf = self.recipe.stamp.size, self.recipe.stamp.psf_size
        mean, _ = self.encode(
            tf.zeros([1, stamp, stamp]), tf.zeros([1, psf, psf]), tf.ones([1]), one)
        self.decode(mean, one)
        self.completed(one)

    def _one_galaxy(self):
        return {name: tf.ones([1]) for name in self.column_specs()}

    def prepare(self, dataset):
        super().prepare(dataset)
        self.autoencoder.prepare(dataset)
        self.noise.adapt(dataset)

    @property
    def phases(self):
        kinds = (Autoencoding, Structure, LatentFlow, Matching, ColumnCompletion)
        return [kind(self, self.recipe.fit[kind.name]) for kind in kinds
                if kind.name in self.recipe.fit]

    # What the model does; all eager or in a graph.

    def encode(self, stamps, psfs, noise_sigma, columns, refinement=0):
        """Mean and scale of the latent, each [N, L]; the mean moved by so many steps."""
        mean, scale = self.autoencoder.encode(stamps, psfs, noise_sigma, columns)
        if refinement:
            power = self.noise.spectrum()
            # The encoder is sure of where a galaxy lies, and of a size and a flux close to those of
            # the catalogue. Where a stamp disagrees, steps by that would not get there.
            pose = tf.range(mean.shape[1]) < self.autoencoder.pose_size
            mean = refine(
                lambda latent: self.decode(latent, columns), mean,
                tf.where(pose, tf.maximum(scale, 1.0), scale),
                dict(stamp=stamps, psf=psfs, noise_sigma=noise_sigma),
                tf.ones_like(power) if self.settings.likelihood == "pixel" else power,
                refinement, held=self.autoencoder.turn_size)
        return mean, scale

    def decode(self, latent, columns):
        """The light profile before PSF and pixel, [N, S, S]."""
        return self.autoencoder.decode(latent, columns)

    def sample(self, normal, columns):
        """From standard normal numbers [N, latent_size] to light profiles [N, S, S]."""
        turn, shape, missing = tf.split(normal, self._parts, axis=-1)
        columns = self.completed(columns, missing)
        shape = self.prior(shape, self.context(columns))
        return self.autoencoder.generate(turn, shape, columns)

    def shape(self, latent):
        """Latents [N, L] without the pose: what the flows learn."""
        return latent[:, self.autoencoder.pose_size:]

    def log_prob(self, latent, columns):
        """Log density of the latents but for the pose, given the columns, [N]."""
        return self.prior.log_prob(self.shape(latent), self.context(columns))

    def signatures(self):
        stamp = self.recipe.stamp
        columns = self.column_specs()

        def sample(random_normal, **columns):
            return dict(image=self.sample(random_normal, columns))

        def decode(latent, **columns):
            return dict(image=self.decode(latent, self.completed(columns)))

        def encode(image, psf, noise_sigma, **columns):
            mean, scale = self.encode(image, psf, noise_sigma, self.completed(columns),
                                      self.settings.refinement)
            return dict(mean=mean, scale=scale)

        def log_prob(latent, **columns):
            return dict(log_prob=self.log_prob(latent, self.completed(columns)))

        normal = tf.TensorSpec([None, self.latent_size], tf.float32)
        latent = tf.TensorSpec([None, self.autoencoder.latent_size], tf.float32)
        images = dict(
            image=tf.TensorSpec([None, stamp.size, stamp.size], tf.float32),
            psf=tf.TensorSpec([None, stamp.psf_size, stamp.psf_size], tf.float32),
            noise_sigma=tf.TensorSpec([None], tf.float32))
        return dict(
            sample=Signature(sample, dict(columns, random_normal=normal)),
            decode=Signature(decode, dict(columns, latent=latent)),
            encode=Signature(encode, dict(columns, **images)),
            log_prob=Signature(log_prob, dict(columns, latent=latent)))
