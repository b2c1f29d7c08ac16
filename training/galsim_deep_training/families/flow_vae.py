"""Flow-VAE: a variational autoencoder for light profiles with a conditional flow as its prior.

Lanusse et al. 2021 (MNRAS), sections 2 and 3: the decoder makes a profile, the forward model
convolves it with the galaxy's own PSF, the likelihood is that of the observed pixels (eqs. 2, 4);
the ELBO leaves some bits free (eq. 10); a normalizing flow then learns the distribution of the
latents of the training set given the catalogue columns (section 3.3).

Ours differs from theirs in what the decoder knows: it sees the columns beside the latent and starts
from an exponential disc of the asked size, and the flux of a profile is exactly that of the asked
magnitude.
"""

__all__ = ["FlowVAE"]

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ..networks.decoder import Decoder, ProfileHead
from ..networks.encoder import Encoder
from ..networks.flows import CouplingFlow
from ..physics.convolution import convolve, psf_transfer
from ..physics.likelihood import chi_square, error_floor_weight, pixel_log_likelihood
from ..recipe import Settings
from .base import GradientPhase, ModelFamily, Signature


class FlowVAESettings(Settings):
    """Settings of the ``flow_vae`` family (the ``model`` part of a recipe)."""

    latent_size: int = 32
    size_column: str = "flux_radius"
    """The column that holds the observed half-light radius [pixels]."""
    magnitude_column: str = "mag_auto"
    psf_radius: float = 2.5
    """Half-light radius of the survey's PSF [pixels]."""
    encoder_channels: tuple[int, ...] = (32, 64, 96)
    decoder_channels: tuple[int, ...] = (96, 64, 32, 12)
    hidden: int = 256
    flow_layers: int = 10
    flow_hidden: int = 128
    free_bits: float = 16.0
    """Information about a galaxy that costs nothing [nats] (eq. 10)."""
    total_variation: float = 0.01
    """Weight of the total variation of the profile in units of the noise."""
    model_error: float = 0.05
    """Relative error per pixel that is forgiven, see `physics.likelihood.error_floor_weight`."""
    column_jitter: float = 0.03
    """Noise on the standardised columns while the flow is fitted."""


class FlowVAE(ModelFamily, name="flow_vae"):
    """See the module's docstring."""

    Settings = FlowVAESettings
    phase_names = ("autoencoder", "flow")

    def __init__(self, settings, recipe):
        super().__init__(settings, recipe)
        self._check_columns()
        self.latent_size = settings.latent_size
        self.encoder = Encoder(settings.latent_size, settings.encoder_channels, settings.hidden)
        self.decoder = Decoder(recipe.stamp.size, settings.decoder_channels, settings.hidden)
        self.head = ProfileHead(recipe.stamp.size, settings.psf_radius)
        self.flow = CouplingFlow(settings.latent_size, settings.flow_layers, settings.flow_hidden,
                                 seed=recipe.seed)
        self.networks.update(encoder=self.encoder, decoder=self.decoder, flow=self.flow)
        self._create_weights()

    def _check_columns(self):
        names = [column.name for column in self.recipe.columns]
        for key in ("size_column", "magnitude_column"):
            if getattr(self.settings, key) not in names:
                raise GalSimConfigError(
                    f"The recipe {self.recipe.path}, model.{key}, asks for the column "
                    f"'{getattr(self.settings, key)}'; its columns are: {', '.join(names)}.")

    def _create_weights(self):
        one = {name: tf.ones([1]) for name in self.column_specs()}
        stamp, psf = self.recipe.stamp.size, self.recipe.stamp.psf_size
        self.encode(tf.zeros([1, stamp, stamp]), tf.zeros([1, psf, psf]), tf.ones([1]), one)
        self.sample(tf.zeros([1, self.latent_size]), one)

    @property
    def phases(self):
        fit = self.recipe.fit
        return [Autoencoding(self, fit["autoencoder"]), LatentFlow(self, fit["flow"])]

    # What the model does; all eager or in a graph.

    def flux(self, columns):
        """The flux of the asked magnitude, [N]."""
        magnitude = columns[self.settings.magnitude_column]
        return tf.pow(10.0, -0.4 * (magnitude - self.recipe.stamp.zero_point))

    def encode(self, stamps, psfs, noise_sigma, columns):
        """Mean and scale of the latent, each [N, L]."""
        return self.encoder(stamps, psfs, noise_sigma, self.flux(columns), self.context(columns))

    def decode(self, latent, columns):
        """The light profile before PSF and pixel, [N, S, S]."""
        numbers = self.decoder(latent, self.context(columns))
        return self.head(numbers, columns[self.settings.size_column], self.flux(columns))

    def sample(self, normal, columns):
        """From standard normal numbers [N, L] to light profiles [N, S, S]."""
        return self.decode(self.flow.transform(normal, self.context(columns)), columns)

    def signatures(self):
        stamp = self.recipe.stamp
        columns = self.column_specs()
        latent = tf.TensorSpec([None, self.latent_size], tf.float32)

        def sample(random_normal, **columns):
            return dict(image=self.sample(random_normal, columns))

        def decode(latent, **columns):
            return dict(image=self.decode(latent, columns))

        def encode(image, psf, noise_sigma, **columns):
            mean, scale = self.encode(image, psf, noise_sigma, columns)
            return dict(mean=mean, scale=scale)

        def log_prob(latent, **columns):
            return dict(log_prob=self.flow(self.context(columns)).log_prob(latent))

        images = dict(
            image=tf.TensorSpec([None, stamp.size, stamp.size], tf.float32),
            psf=tf.TensorSpec([None, stamp.psf_size, stamp.psf_size], tf.float32),
            noise_sigma=tf.TensorSpec([None], tf.float32))
        return dict(
            sample=Signature(sample, dict(columns, random_normal=latent)),
            decode=Signature(decode, dict(columns, latent=latent)),
            encode=Signature(encode, dict(columns, **images)),
            log_prob=Signature(log_prob, dict(columns, latent=latent)))


class Autoencoding(GradientPhase):
    """Fit encoder and decoder on the ELBO with free bits."""

    name = "autoencoder"

    def __init__(self, family, fit):
        self.family = family
        super().__init__(
            fit, family.recipe.seed,
            dict(context=family.context, encoder=family.encoder, decoder=family.decoder),
            family.encoder.trainable_variables + family.decoder.trainable_variables)

    def batches(self, dataset, start):
        return dataset.batches(self.fit.batch_size, self.seed, start)

    def loss(self, batch, number):
        return self._elbo(batch, self.normal(
            number, tf.shape(batch["stamp"])[0], self.family.latent_size))

    def _elbo(self, batch, noise):
        settings = self.family.settings
        stamps, sigma = batch["stamp"], batch["noise_sigma"]
        mean, scale = self.family.encode(stamps, batch["psf"], sigma, batch)
        profiles = self.family.decode(mean + scale * noise, batch)
        models = convolve(profiles, psf_transfer(batch["psf"], stamps.shape[1]))
        # Relative to a model that is perfect, on average: keeps the number readable.
        surprise = -(pixel_log_likelihood(stamps, models, sigma)
                     - pixel_log_likelihood(stamps, stamps, sigma)
                     + 0.5 * stamps.shape[1] * stamps.shape[2])
        weight = error_floor_weight(
            stamps, sigma, batch[settings.size_column], settings.model_error)
        divergence = tf.reduce_sum(
            0.5 * (tf.square(mean) + tf.square(scale) - 1.0) - tf.math.log(scale), axis=-1)
        variation = tf.image.total_variation(
            (profiles / sigma[:, None, None])[..., None])
        loss = tf.reduce_mean(weight * surprise
                              + tf.maximum(divergence, settings.free_bits)
                              + settings.total_variation * weight * variation)
        pixels = stamps.shape[1] * stamps.shape[2]
        chi = chi_square(stamps, models, sigma) / pixels
        return loss, dict(chi_square=tf.reduce_mean(chi), divergence=tf.reduce_mean(divergence),
                          median_chi_square=tf.sort(chi)[tf.shape(chi)[0] // 2],
                          variation=tf.reduce_mean(variation))

    def evaluate(self, batch):
        loss, scalars = self._elbo(batch, 0.0)
        return dict(scalars, loss=loss)


class LatentFlow(GradientPhase):
    """Fit the flow on the latents that the encoder finds for the training set (eq. 12)."""

    name = "flow"

    def __init__(self, family, fit):
        self.family = family
        super().__init__(fit, family.recipe.seed, dict(flow=family.flow),
                         family.flow.trainable_variables)

    def batches(self, dataset, start):
        mean, scale, context = self._encode_all(dataset)
        number = start
        while True:
            rng = np.random.default_rng([self.seed, 2, number])
            rows = rng.integers(len(mean), size=self.fit.batch_size)
            yield dict(
                latent=mean[rows] + scale[rows] * rng.standard_normal(
                    mean[rows].shape, np.float32),
                context=context[rows] + self.family.settings.column_jitter
                * rng.standard_normal(context[rows].shape, np.float32))
            number += 1

    def _encode_all(self, dataset, turns=2):
        """Latents of every training example, turned and mirrored ``turns`` times."""
        encode = tf.function(lambda batch: (*self.family.encode(
            batch["stamp"], batch["psf"], batch["noise_sigma"], batch),
            self.family.context(batch)), reduce_retracing=True)
        indices, found = dataset.train_indices, []
        for turn in range(turns):
            rng = np.random.default_rng([self.seed, 3, turn])
            for first in range(0, len(indices), 256):
                batch = dataset.read(indices[first:first + 256], augment=rng)
                found.append([tensor.numpy() for tensor in encode(batch)])
        return (np.concatenate(parts) for parts in zip(*found, strict=True))

    def loss(self, batch, number):
        return self._surprise(batch), {}

    def _surprise(self, batch):
        log_prob = self.family.flow(batch["context"]).log_prob(batch["latent"])
        return -tf.reduce_mean(log_prob)

    def evaluate(self, batch):
        mean, _ = self.family.encode(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
        latent = dict(latent=mean, context=self.family.context(batch))
        return dict(surprise_of_means=self._surprise(latent))
