"""Affine flow: the likelihood of whole images, and images drawn from it.

The flow on images of the Milky Way challenge, with four affine layers in each level; see
`families.affine_flow.network`.  Images have values from 0 to 1, in steps of 1/255.  Likelihoods of
pixels prefer smooth images, whatever they show (Nalisnick et al. 2018, arXiv:1810.09136): a density
of embeddings (family ``maf``) tells outliers better.
"""

__all__ = ["AffineFlow", "Likelihood"]

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ...data.dataset import Dataset
from ...fitting.phase import Batch, GradientPhase
from ...networks.blocks import softplus
from ...recipe import Recipe
from ...settings import Channels, Layers, Settings
from ..base import ModelFamily, Signature
from ..shared.signatures import observation_specs
from .network import MultiscaleFlow

LEVELS = 256
"""Values that a pixel may have."""
MARGIN = 0.05
"""Distance from 0 and 1 that is kept before the logit (alpha of Dinh et al. 2016, section 4.1)."""
ADAPTED = 128
"""Images to which the normalisation of the channels is adapted."""


class AffineFlowSettings(Settings):
    """Settings of the networks of the family ``affine_flow``.

    >>> AffineFlowSettings().layers
    4
    """

    levels: Layers = 4
    """Levels of resolution."""
    layers: Layers = 4
    """Affine layers in each level."""
    hidden: Channels = 32
    """Channels of the networks of the couplings."""


class Likelihood(GradientPhase):
    """Fit the flow by maximum likelihood, with uniform noise of one step of the pixel values.

    >>> Likelihood.name
    'likelihood'
    """

    name = "likelihood"

    def __init__(self, family: "AffineFlow", settings: Any) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed, dict(flow=family.flow),
                         family.flow.trainable_variables)

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed, start)

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        count = tf.shape(batch["stamp"])[0]
        uniform = 0.5 * tf.math.erfc(
            -self.normal(step, count, self.family.latent_size) / np.float32(np.sqrt(2)))
        bits = tf.reduce_mean(self.family.bits(batch["stamp"], uniform))
        return bits * np.float32(np.log(2)), dict(bits_per_dimension=bits)

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        loss, scalars = self.loss(batch, tf.constant(-1))
        return dict(scalars, loss=loss)


class AffineFlow(ModelFamily, kind="affine_flow"):
    """The model family ``affine_flow``; see the module's docstring, and `ModelFamily`.

    Raises a `galsim.GalSimConfigError` if the stamps cannot be halved as often as there are levels.

    >>> from galsim_deep_training.families import make_family
    >>> from galsim_deep_training.recipe import read_recipe
    >>> family = make_family(read_recipe("training/recipes/galaxy_zoo_flow.yaml"))
    >>> family.module_kind, family.latent_size == 64 * 64 * 3
    ('density', True)
    """

    Settings = AffineFlowSettings
    module_kind = "density"
    several_bands = True
    value_range = (0.0, 1.0)
    phase_types = (Likelihood,)

    settings: AffineFlowSettings

    def __init__(self, settings: AffineFlowSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        size, bands = recipe.stamp.size, len(recipe.bands)
        self.flow = MultiscaleFlow(size, bands, settings.levels, settings.layers, settings.hidden,
                                   recipe.seed)
        self.latent_size = size**2 * bands
        self.networks.update(flow=self.flow)

    def prepare(self, dataset: Dataset) -> None:
        super().prepare(dataset)
        rows = dataset.train_indices[:ADAPTED]
        middle = tf.constant(0.5)
        self.flow.adapt(self._logits(self._continuous(dataset.read(rows)["stamp"], middle))[0])

    def log_prob(self, images: tf.Tensor) -> tf.Tensor:
        """Log-density of images with values from 0 to 1, in the middle of their steps, [N]."""
        return self._log_prob(self._continuous(images, tf.constant(0.5)))

    def bits(self, images: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """Bits per dimension of images of `LEVELS` values, [N].

        Parameters:
            images:     [N, S, S] or [N, S, S, B].
            uniform:    Uniform numbers that are added, in steps of the pixel values, [N, S S B].
        """
        log_prob = self._log_prob(self._continuous(images, uniform))
        return np.float32(np.log2(LEVELS)) - log_prob / np.float32(self.latent_size * np.log(2))

    def sample(self, normal: tf.Tensor) -> tf.Tensor:
        """Convert standard normal numbers [N, L] to images from 0 to 1, [N, S, S, B]."""
        y = tf.sigmoid(self.flow.inverse(normal))
        values = (y - MARGIN) / (1.0 - 2.0 * MARGIN)
        return tf.clip_by_value((LEVELS * values - 0.5) / (LEVELS - 1), 0.0, 1.0)

    def _continuous(self, images: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
        """Images [N, S, S, B] with values between 0 and 1, exclusively."""
        images = tf.convert_to_tensor(images)
        if images.shape.rank == 3:
            images = images[..., None]
        offset = tf.convert_to_tensor(offset)
        if offset.shape.rank:
            offset = tf.reshape(offset, tf.shape(images))
        return ((LEVELS - 1) * tf.clip_by_value(images, 0.0, 1.0) + offset) / LEVELS

    def _logits(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits of values [N, S, S, B], and ln|det| of the Jacobian, [N]."""
        y = MARGIN + (1.0 - 2.0 * MARGIN) * values
        logits = tf.math.log(y) - tf.math.log(1.0 - y)
        # -ln y - ln(1 - y) = softplus(logit) + softplus(-logit)
        each = softplus(logits) + softplus(-logits) + np.float32(np.log(1.0 - 2.0 * MARGIN))
        return logits, tf.reduce_sum(each, axis=[1, 2, 3])

    def _log_prob(self, values: tf.Tensor) -> tf.Tensor:
        logits, log_det = self._logits(values)
        z, change = self.flow(logits)
        normal = -0.5 * tf.reduce_sum(tf.square(z) + np.float32(np.log(2 * np.pi)), axis=-1)
        return normal + change + log_det

    def signatures(self) -> dict[str, Signature]:
        def log_prob(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return dict(log_prob=self.log_prob(image))

        def sample(random_normal: tf.Tensor) -> dict[str, tf.Tensor]:
            return dict(image=self.sample(random_normal))

        return dict(
            log_prob=Signature(log_prob, dict(image=observation_specs(self)["image"])),
            sample=Signature(sample, dict(
                random_normal=tf.TensorSpec([None, self.latent_size], tf.float32))))
