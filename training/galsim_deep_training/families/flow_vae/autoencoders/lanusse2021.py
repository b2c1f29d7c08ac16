"""The autoencoder of Lanusse et al. 2021: deep residual networks on the stamp as it is.

The columns play no part in it; that latents go with them is left to the flow, as are size, flux and
position angle of what is sampled.
"""

__all__ = ["Lanusse2021Autoencoder"]

import tensorflow as tf

from ....rendering.drawing import edge_window
from ....settings import Channels, Layers, PositiveShare, Settings, Weight
from ...shared.autoencoder import Inference, kl_divergence
from ..networks.lanusse2021 import DeepDecoder, DeepEncoder, annealed, bottleneck_penalty
from .base import FlowAutoencoder


class Lanusse2021Settings(Settings):
    """Settings of the ``lanusse2021`` autoencoder; as they are, those of table 1."""

    latent_size: Channels = 16
    depth: Channels = 16
    """Channels at full resolution."""
    max_depth: Channels = 512
    stages: Layers = 7
    """How often the resolution is halved."""
    blocks: Layers = 2
    """Residual blocks of a stage."""
    bottleneck_penalty: Weight = 1.0
    """Weight at the start of what asks the dense layers to give back what was put in."""
    aided: PositiveShare = 0.5
    """Share of the fit after which penalty and transverse connections are gone."""


class Lanusse2021Autoencoder(FlowAutoencoder, kind="lanusse2021"):
    """See the module's docstring."""

    Settings = Lanusse2021Settings

    def __init__(self, settings, recipe, conditions):
        super().__init__(settings, recipe, conditions)
        shape = dict(latent_size=settings.latent_size, depth=settings.depth,
                     max_depth=settings.max_depth, stages=settings.stages, blocks=settings.blocks)
        self.encoder = DeepEncoder(recipe.stamp.size, **shape)
        self.decoder = DeepDecoder(recipe.stamp.size, **shape)
        self.networks = dict(encoder=self.encoder, decoder=self.decoder)
        self.vector_size = settings.latent_size
        self._edge = edge_window(recipe.stamp.size)

    def infer(self, batch, normal, progress):
        mean, scale, features = self.encoder(batch["stamp"], batch["psf"], batch["noise_sigma"])
        latent = mean + scale * normal
        aid = annealed(progress, 1.0, self.settings.aided)
        # Which maps are handed over depends on seed and step alone: all devices do the same.
        seed = tf.unstack(tf.stack(
            [self.recipe.seed, tf.cast(progress * 2.0**24, tf.int32)]))
        profiles = self._windowed(
            self.decoder(latent, features=features, share=aid, seed=seed))
        penalty = tf.reduce_mean(bottleneck_penalty(features[-1], self.decoder.unfold(latent)))
        return Inference(
            profiles, dict(vector=kl_divergence(mean, scale)),
            dict(bottleneck=self.settings.bottleneck_penalty * aid * penalty))

    def encode(self, stamps, psfs, noise_sigma, columns):
        mean, scale, _ = self.encoder(stamps, psfs, noise_sigma)
        return mean, scale

    def decode(self, latent, columns):
        return self._windowed(self.decoder(latent))

    def _windowed(self, profiles):
        return profiles * tf.constant(self._edge)[:, None] * self._edge
