"""The phase that fits the very deep VAE on the beta-ELBO."""

__all__ = ["VeryDeepAutoencoding"]

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ...fitting.phase import Batch
from ...recipe import Recipe
from ...settings import ShareBelowOne, Weight
from ..shared.autoencoder import Inference
from ..shared.autoencoding import Autoencoding, AutoencodingSettings

CHOICE = 1
"""Stream of random numbers, see `Phase.normal`."""


class VeryDeepAutoencodingSettings(AutoencodingSettings):
    """Settings of the phase ``autoencoder`` of the family ``vdvae``.

    >>> VeryDeepAutoencodingSettings(steps=1000, beta=2.0).vector_only
    0.0
    """

    beta: Weight = 1.0
    """Weight of the KL divergence in the loss (Andrianomena 2023, eq. 3.2) after the warm-up."""
    vector_only: ShareBelowOne = 0.0
    """Fraction of the galaxies of a batch whose latents other than z0 are drawn from the prior,
    although their stamp is known.  They can be reproduced by z0 alone, which must therefore
    describe them well."""


class VeryDeepAutoencoding(Autoencoding):
    """Fit encoder and decoder on the beta-ELBO, through PSF, noise and clipping of each stamp.

    In clipped stamps, a pixel that was set to zero says that the galaxy is fainter there than the
    threshold, and a model below the threshold agrees with it.

    >>> VeryDeepAutoencoding.name, VeryDeepAutoencoding.Settings(steps=10).beta
    ('autoencoder', 1.0)
    """

    Settings = VeryDeepAutoencodingSettings

    @classmethod
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        # Without half-light radii, the area of a source is that of the pixels above the clipping.
        if recipe.column_of("largest_angular_size") is None:
            super().check_settings(fit, recipe)

    def _infer(self, batch: Batch, normal: tf.Tensor, progress: tf.Tensor,
               step: tf.Tensor | None) -> Inference:
        chosen = None
        if step is not None and self.settings.vector_only:
            uniform = 0.5 * tf.math.erfc(
                -self.normal(step, tf.shape(normal)[0], 1, CHOICE)[:, 0] / 2.0**0.5)
            chosen = tf.cast(uniform < self.settings.vector_only, tf.float32)
        return self.family.autoencoder.infer(batch, normal, progress, chosen)

    def _beta(self, progress: tf.Tensor) -> tf.Tensor | float:
        return self.settings.beta * super()._beta(progress)

    def _observed(self, models: tf.Tensor, batch: Batch) -> tf.Tensor:
        stamps = batch["stamp"]
        threshold = self.family.clipping.threshold * batch["noise_sigma"][:, None, None]
        # `where` keeps the gradient of the model out of the pixels in which they agree.
        agree = (stamps == 0.0) & (models < threshold)
        return tf.where(agree, models, tf.where(stamps == 0.0, threshold, stamps))

    def _weight(self, models: tf.Tensor, batch: Batch) -> tf.Tensor:
        recipe = self.family.recipe
        if not self.settings.model_error or recipe.column_of("half_light_radius") is not None:
            return super()._weight(models, batch)
        stamps = batch["stamp"]
        area = tf.reduce_sum(tf.cast(stamps != 0.0, tf.float32), axis=[1, 2])
        power = tf.reduce_sum(tf.square(stamps / batch["noise_sigma"][:, None, None]), axis=[1, 2])
        return 1.0 / (1.0 + self.settings.model_error**2 * power / tf.maximum(area, 1.0))
