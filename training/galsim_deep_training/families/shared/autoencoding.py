"""The phase that fits an autoencoder on the ELBO, through each galaxy's own PSF and noise."""

__all__ = ["Autoencoding"]

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import tensorflow as tf

from ...data.dataset import Dataset
from ...fitting.phase import Batch, GradientPhase
from ...physics.convolution import convolve, psf_transfer
from ...physics.likelihood import chi_square, error_floor_weight, fourier_chi_square
from ...recipe import PhaseSettings, Recipe
from ...settings import Share, Weight
from .autoencoder import Inference


class AutoencodingSettings(PhaseSettings):
    """Settings of the phase ``autoencoder``."""

    likelihood: Literal["pixel", "fourier"] = "fourier"
    """``pixel``: independent noise in each pixel (Lanusse et al. 2021, arXiv:2008.03833, eq. 4);
    ``fourier``: correlated noise (eq. 5)."""
    free_bits: Weight = 8.0
    """KL divergence of the group ``vector`` of the latents of a galaxy that is not penalised [nats]
    (eq. 10)."""
    total_variation: Weight = 0.01
    """Weight of the total variation of the profile in units of the noise."""
    model_error: Share = 0.05
    """Relative error of a profile, per pixel, that is tolerated, so that the brightest galaxies do
    not dominate a batch; see `physics.likelihood.error_floor_weight`.  0 for none.  It needs a
    column of the quantity ``half_light_radius``."""
    beta_warm_up: Share = 0.05
    """Fraction of the fit over which beta, the weight of the KL divergence, rises from 0.1 to 1.
    With 0, beta is 1 from the first step on."""


class Autoencoding(GradientPhase):
    """Fit encoder and decoder on the ELBO with free bits.

    The decoder makes a profile before PSF, the forward model convolves it with the PSF of the
    stamp, and the likelihood is that of the observed pixels given their noise.

    Parameters:
        family:     A family with an ``autoencoder``, a `families.shared.autoencoder.Autoencoder`.
        settings:   `AutoencodingSettings`.

    >>> settings = Autoencoding.Settings(steps=1000, likelihood="pixel")
    >>> settings.free_bits, settings.model_error
    (8.0, 0.05)
    """

    name = "autoencoder"
    Settings: ClassVar[type[PhaseSettings]] = AutoencodingSettings
    seed_of_batches = 0
    """Added to the seed for the order of the batches."""

    def __init__(self, family: Any, settings: Any) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed, family.autoencoder.networks)

    @classmethod
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        model_error = fit[cls.name].model_error
        if model_error:
            recipe.required_column("half_light_radius",
                                   f"a fit.{cls.name}.model_error of {model_error:g} (not 0)")

    @property
    def elbo_settings(self) -> AutoencodingSettings:
        """The settings of the loss."""
        return self.settings

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed + self.seed_of_batches, start)

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        normal = self.normal(
            step, tf.shape(batch["stamp"])[0], self.family.autoencoder.noise_size)
        progress = tf.cast(step, tf.float32) / self.settings.steps
        return self._elbo(batch, normal, self._aid_progress(progress), self._beta(progress), step)

    def _aid_progress(self, progress: tf.Tensor) -> tf.Tensor:
        """The fraction of the fit that is passed to `Autoencoder.infer`, by which an autoencoder
        reduces penalties and transverse connections."""
        return progress

    def _beta(self, progress: tf.Tensor) -> tf.Tensor | float:
        """The weight of the KL divergence after this fraction of the fit."""
        warm_up = self.elbo_settings.beta_warm_up
        return tf.minimum(1.0, 0.1 + 0.9 * progress / warm_up) if warm_up else 1.0

    def _infer(self, batch: Batch, normal: tf.Tensor, progress: tf.Tensor,
               step: tf.Tensor | None) -> Inference:
        """What the autoencoder infers; ``step`` is None in an evaluation."""
        return self.family.autoencoder.infer(batch, normal, progress)

    def _observed(self, models: tf.Tensor, batch: Batch) -> tf.Tensor:
        """The stamps that models are compared with, [N, S, S]."""
        return batch["stamp"]

    def _elbo(self, batch: Batch, normal: tf.Tensor, progress: tf.Tensor, beta: tf.Tensor | float,
              step: tf.Tensor | None = None) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        settings, sigma = self.elbo_settings, batch["noise_sigma"]
        inference = self._infer(batch, normal, progress, step)
        models = convolve(inference.profiles, psf_transfer(batch["psf"], batch["stamp"].shape[1]))
        stamps = self._observed(models, batch)
        pixels = stamps.shape[1] * stamps.shape[2]
        white = chi_square(stamps, models, sigma)
        chi = (white if settings.likelihood == "pixel" else
               fourier_chi_square(stamps, models, sigma, batch["noise_power"]))
        # The expectation for the true profile is subtracted, which keeps the number readable.
        negative_log_likelihood = 0.5 * (chi - pixels)
        weight = self._weight(models, batch)
        # Below free_bits the KL divergence of the vector is not penalised (eq. 10).
        vector = tf.maximum(inference.kl["vector"], settings.free_bits)
        kl = tf.add_n(list(dict(inference.kl, vector=vector).values()))
        variation = tf.image.total_variation(
            (inference.profiles / sigma[:, None, None])[..., None])
        loss = tf.reduce_mean(weight * negative_log_likelihood + beta * kl
                              + settings.total_variation * weight * variation)
        loss += sum(inference.penalties.values())
        return loss, dict(
            chi_square=tf.reduce_mean(chi) / pixels,
            median_chi_square=tf.sort(white)[tf.shape(white)[0] // 2] / pixels,
            **{name: tf.reduce_mean(part) for name, part in inference.kl.items()},
            **inference.penalties, variation=tf.reduce_mean(variation),
            weight=tf.reduce_mean(weight))

    def _weight(self, models: tf.Tensor, batch: Batch) -> tf.Tensor:
        """The weight of each galaxy in the loss, [N]."""
        if not self.settings.model_error:
            return tf.ones_like(batch["noise_sigma"])
        size = self.family.recipe.half_light_radius(batch)
        return tf.stop_gradient(
            error_floor_weight(models, batch["noise_sigma"], size, self.settings.model_error))

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        means = tf.zeros([tf.shape(batch["stamp"])[0], self.family.autoencoder.noise_size])
        loss, scalars = self._elbo(batch, means, tf.constant(1.0), self._beta(tf.constant(1.0)))
        return dict(scalars, loss=loss)
