"""The very deep VAE as an autoencoder: stamps to latents, and latents to light profiles."""

__all__ = ["VeryDeepAutoencoder"]

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from ...networks.blocks import softplus
from ...networks.conditions import Columns, Conditions
from ...recipe import Recipe
from ...rendering.contour import Contour
from ...rendering.drawing import edge_window
from ..shared.autoencoder import Autoencoder, Inference
from .networks import BottomUp, Drawn, TopDown
from .settings import VDVAESettings

PSF_FACTOR = 300.0
"""PSFs have unit sum over thousands of pixels; with the factor, their peak is of order one."""
ENVELOPE = 0.15
"""Scale length of the light before the fit, in units of the size of the stamp."""


class VeryDeepAutoencoder(Autoencoder):
    """`BottomUp` and `TopDown`, with the flux of the catalogue.

    The latent vector of `encode` and `decode` is z0.  `infer` and `sample` take normal numbers for
    all latents; `decode` uses the means of the others.

    Parameters:
        settings:       `VDVAESettings`.
        recipe:         The `Recipe`; it has a column of the quantity ``flux`` or ``magnitude``.
        conditions:     The `Conditions` that standardise columns.

    Attributes:
        noise_size:     Length L of the normal numbers that `infer` and `sample` take.

    Raises a `galsim.GalSimConfigError` if there is no such column, or the stamp does not fit the
    networks.

    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/first_vdvae.yaml")
    >>> autoencoder = VeryDeepAutoencoder(VDVAESettings(), recipe, Conditions(recipe.columns))
    >>> autoencoder.latent_size, autoencoder.noise_size > 256
    (256, True)
    """

    def __init__(self, settings: VDVAESettings, recipe: Recipe, conditions: Conditions) -> None:
        self.settings, self.recipe, self.conditions = settings, recipe, conditions
        if recipe.column_of("magnitude") is None:
            recipe.required_column("flux", "the model family 'vdvae'")
        size = recipe.stamp.size
        self.encoder, self.decoder = BottomUp(size, settings), TopDown(size, settings)
        self.networks = dict(encoder=self.encoder, decoder=self.decoder)
        self.latent_size = settings.vector_size
        self._sizes = [int(np.prod(shape)) for shape in self.decoder.shapes]
        axis = np.arange(size) - 0.5 * (size - 1)
        self._ln_envelope = np.float32(-np.hypot(axis[:, None], axis) / (ENVELOPE * size))
        edge = edge_window(size)
        self._window = edge[:, None] * edge
        self._contour = None if settings.contour is None else Contour(
            size, settings.contour.beam / recipe.stamp.pixel_scale, settings.contour.flux)

    @property
    def noise_size(self) -> int:
        return sum(self._sizes)

    def features(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor
                 ) -> list[tf.Tensor]:
        """Feature maps of observed stamps, see `BottomUp`."""
        signal = stamps / noise_sigma[:, None, None]
        peak = tf.maximum(tf.reduce_max(signal, axis=[1, 2], keepdims=True), 1.0)
        size = stamps.shape[1]
        psf = tf.image.resize_with_crop_or_pad(psfs[..., None], size, size)[..., 0]
        # In units of the noise, for faint structure, and of the peak, for bright sources.
        return self.encoder(tf.stack(
            [0.5 * tf.asinh(signal), signal / peak, tf.asinh(PSF_FACTOR * psf)], axis=-1))

    def infer(self, batch: Mapping[str, tf.Tensor], normal: tf.Tensor, progress: tf.Tensor,
              from_prior: tf.Tensor | None = None) -> Inference:
        """As `Autoencoder.infer`; ``from_prior`` [N] as for `TopDown.call`."""
        features = self.features(batch["stamp"], batch["psf"], batch["noise_sigma"])
        numbers, (first, *others) = self.decoder(
            self.conditions(batch), features, self._maps(normal), from_prior=from_prior)
        details = [latent.kl for latent in others] or [tf.zeros_like(first.kl)]
        return Inference(self._profiles(numbers, batch),
                         dict(vector=first.kl, details=tf.add_n(details)))

    def encode(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
               columns: Columns) -> tuple[tf.Tensor, tf.Tensor]:
        first = self.decoder.first(
            self.conditions(columns), self.features(stamps, psfs, noise_sigma))
        return first.mean[:, 0, 0], first.scale[:, 0, 0]

    def decode(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        numbers, _ = self.decoder(self.conditions(columns), vector=latent)
        return self._profiles(numbers, columns)

    def sample(self, normal: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Convert standard normal numbers [N, L] to light profiles [N, S, S]."""
        numbers, _ = self.decoder(self.conditions(columns), normals=self._maps(normal))
        return self._profiles(numbers, columns)

    def prior(self, columns: Columns) -> Drawn:
        """The distribution of z0 given the columns."""
        return self.decoder.first(self.conditions(columns))

    def _maps(self, normal: tf.Tensor) -> list[tf.Tensor]:
        """Normal numbers [N, L] as those of each latent."""
        return [tf.reshape(part, [-1, *shape]) for part, shape in zip(
            tf.split(normal, self._sizes, axis=-1), self.decoder.shapes, strict=True)]

    def _profiles(self, numbers: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Positive light, zero at the edge, with the flux of the catalogue: [N, S, S]."""
        # Squared, since the surface brightness varies a thousandfold along a source.
        light = tf.square(softplus(numbers + self._ln_envelope)) * self._window
        flux = self.flux(columns)[:, None, None]
        light *= flux / tf.reduce_sum(light, axis=[1, 2], keepdims=True)
        return light if self._contour is None else self._contour.with_flux_above(light, flux)

    def flux(self, columns: Columns) -> tf.Tensor:
        """The flux of galaxies with these columns, [N]."""
        if self.recipe.column_of("magnitude") is not None:
            return self.recipe.flux(columns)
        return columns[self.recipe.required_column("flux", "the model family 'vdvae'").name]
