"""The phases that fit encoder and decoder, through each galaxy's PSF and noise."""

__all__ = ["Autoencoding", "Structure"]

import tensorflow as tf

from ..physics.convolution import convolve, psf_transfer
from ..physics.likelihood import chi_square, error_floor_weight, fourier_chi_square
from .base import GradientPhase


class Autoencoding(GradientPhase):
    """Fit encoder and decoder on the ELBO with free bits."""

    name = "autoencoder"
    aided = True
    """Whether an autoencoder has the aids that it offers at the start of a fit."""
    # So that several flows can be had on one autoencoder.
    independent_of = ("model.flow", "model.detail_flow", "model.flow_share",
                      "model.column_jitter", "model.vector_jitter", "model.refinement",
                      "model.structure_error")

    def __init__(self, family, fit):
        self.family = family
        self.model_error = family.settings.model_error
        networks = family.autoencoder.networks
        super().__init__(
            fit, family.recipe.seed, dict(networks, context=family.context, noise=family.noise),
            [v for network in networks.values() for v in network.trainable_variables])

    def batches(self, dataset, start):
        return dataset.batches(self.fit.batch_size, self.seed, start)

    def loss(self, batch, number):
        normal = self.normal(
            number, tf.shape(batch["stamp"])[0], self.family.autoencoder.latent_size)
        progress = tf.cast(number, tf.float32) / self.fit.steps
        return self._elbo(batch, normal, progress if self.aided else tf.constant(1.0),
                          self._charge(progress))

    def _charge(self, progress):
        """What a nat of information costs."""
        if not self.family.settings.divergence_warm_up:
            return 1.0
        return tf.minimum(1.0, 0.1 + 0.9 * progress / self.family.settings.divergence_warm_up)

    def _elbo(self, batch, normal, progress, charge):
        settings, autoencoder = self.family.settings, self.family.autoencoder
        stamps, sigma = batch["stamp"], batch["noise_sigma"]
        found = autoencoder.infer(batch, normal, progress)
        models = convolve(found.profiles, psf_transfer(batch["psf"], stamps.shape[1]))
        pixels = stamps.shape[1] * stamps.shape[2]
        white = chi_square(stamps, models, sigma)
        chi = (white if settings.likelihood == "pixel" else
               fourier_chi_square(stamps, models, sigma, batch["noise_power"]))
        # Relative to a model that is perfect, on average: keeps the number readable.
        surprise = 0.5 * (chi - pixels)
        weight = self._weight(models, batch)
        # Some bits of the vector are free (eq. 10).
        vector = tf.maximum(found.divergences["vector"], settings.free_bits)
        information = tf.add_n(list(dict(found.divergences, vector=vector).values()))
        variation = tf.image.total_variation(
            (found.profiles / sigma[:, None, None])[..., None])
        loss = tf.reduce_mean(weight * surprise + charge * information
                              + settings.total_variation * weight * variation)
        loss += sum(found.penalties.values())
        return loss, dict(
            chi_square=tf.reduce_mean(chi) / pixels,
            median_chi_square=tf.sort(white)[tf.shape(white)[0] // 2] / pixels,
            **{name: tf.reduce_mean(part) for name, part in found.divergences.items()},
            **found.penalties, variation=tf.reduce_mean(variation), weight=tf.reduce_mean(weight))

    def _weight(self, models, batch):
        if not self.model_error:
            return tf.ones_like(batch["noise_sigma"])
        size = batch[self.family.autoencoder.settings.size_column]
        return tf.stop_gradient(
            error_floor_weight(models, batch["noise_sigma"], size, self.model_error))

    def evaluate(self, batch):
        means = tf.zeros([tf.shape(batch["stamp"])[0], self.family.autoencoder.latent_size])
        loss, scalars = self._elbo(batch, means, tf.constant(1.0), 1.0)
        return dict(scalars, loss=loss)


class Structure(Autoencoding):
    """Go on with the ELBO, but forgive less: deep stamps of bright galaxies count for more.

    They alone show structure of low contrast, and would rule a fit that has yet to learn what
    galaxies look like at all.  What information costs rises anew, so that latents which have been
    given up can be taken up again; the aids of the first steps of a fit stay away.
    """

    name = "structure"
    aided = False
    independent_of = tuple(
        key for key in Autoencoding.independent_of if key != "model.structure_error")

    def __init__(self, family, fit):
        super().__init__(family, fit)
        self.model_error = family.settings.structure_error

    def batches(self, dataset, start):
        # Other batches than those of the first steps of the fit.
        return dataset.batches(self.fit.batch_size, self.seed + 1, start)
