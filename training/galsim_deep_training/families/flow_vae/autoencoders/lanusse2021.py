"""The autoencoder of Lanusse et al. 2021 (arXiv:2008.03833): deep residual networks on the stamp.

It does not use the columns. The flow learns how latents depend on them, and with the latents the
size, flux and position angle of samples.
"""

__all__ = ["Lanusse2021Autoencoder", "Lanusse2021Settings"]

from collections.abc import Mapping

import tensorflow as tf

from ....networks.conditions import Columns, Conditions
from ....recipe import Recipe
from ....rendering.drawing import edge_window
from ....settings import Channels, Layers, PositiveShare, Settings, Weight
from ...shared.autoencoder import Inference, kl_divergence
from ..networks.lanusse2021 import DeepDecoder, DeepEncoder, annealed, bottleneck_penalty
from .base import FlowAutoencoder


class Lanusse2021Settings(Settings):
    """Settings of the ``lanusse2021`` autoencoder.

    The defaults are those of Lanusse et al. 2021 (arXiv:2008.03833), table 1.

    >>> settings = Lanusse2021Settings(stages=3)
    >>> settings.stages, settings.latent_size
    (3, 16)
    """

    latent_size: Channels = 16
    """Length of the latent vector."""
    depth: Channels = 16
    """Channels at full resolution; they double from stage to stage."""
    max_depth: Channels = 512
    """Maximum number of channels."""
    stages: Layers = 7
    """Number of times that the resolution is halved."""
    blocks: Layers = 2
    """Residual blocks in a stage."""
    bottleneck_penalty: Weight = 1.0
    """Initial weight of the penalty for dense layers that do not reproduce their input."""
    aided: PositiveShare = 0.5
    """Fraction of the fit after which penalty and transverse connections are zero."""


class Lanusse2021Autoencoder(FlowAutoencoder, kind="lanusse2021"):
    """`DeepEncoder` and `DeepDecoder`; see `FlowAutoencoder` for the parameters.

    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/digits_mpcc.yaml")  # stamps of 8 pixels
    >>> settings = Lanusse2021Settings(latent_size=4, depth=4, stages=2)
    >>> autoencoder = Lanusse2021Autoencoder(settings, recipe, Conditions(()))
    >>> autoencoder.decode(tf.zeros([2, 4]), columns={}).shape
    TensorShape([2, 8, 8])
    """

    Settings = Lanusse2021Settings
    settings: Lanusse2021Settings

    def __init__(self, settings: Lanusse2021Settings, recipe: Recipe,
                 conditions: Conditions) -> None:
        super().__init__(settings, recipe, conditions)
        sizes = dict(latent_size=settings.latent_size, depth=settings.depth,
                     max_depth=settings.max_depth, stages=settings.stages, blocks=settings.blocks)
        self.encoder = DeepEncoder(recipe.stamp.size, **sizes)
        self.decoder = DeepDecoder(recipe.stamp.size, **sizes)
        self.networks = dict(encoder=self.encoder, decoder=self.decoder)
        self.vector_size = settings.latent_size
        self._edge = edge_window(recipe.stamp.size)

    def infer(self, batch: Mapping[str, tf.Tensor], normal: tf.Tensor,
              progress: tf.Tensor) -> Inference:
        mean, scale, features = self.encoder(batch["stamp"], batch["psf"], batch["noise_sigma"])
        latent = mean + scale * normal
        strength = annealed(progress, 1.0, self.settings.aided)
        # Which maps are copied depends on the seed and the step only, so that all devices agree.
        seed = tf.unstack(tf.stack(
            [self.recipe.seed, tf.cast(progress * 2.0**24, tf.int32)]))
        profiles = self._windowed(
            self.decoder(latent, features=features, fraction=strength, seed=seed))
        penalty = tf.reduce_mean(bottleneck_penalty(features[-1], self.decoder.unfold(latent)))
        return Inference(
            profiles, dict(vector=kl_divergence(mean, scale)),
            dict(bottleneck=self.settings.bottleneck_penalty * strength * penalty))

    def encode(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
               columns: Columns) -> tuple[tf.Tensor, tf.Tensor]:
        mean, scale, _ = self.encoder(stamps, psfs, noise_sigma)
        return mean, scale

    def decode(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        return self._windowed(self.decoder(latent))

    def _windowed(self, profiles: tf.Tensor) -> tf.Tensor:
        """Profiles that fall to zero at the edge of the stamp."""
        return profiles * tf.constant(self._edge)[:, None] * self._edge
