"""The base class of autoencoders: stamps to latents, and latents to light profiles."""

__all__ = ["Autoencoder", "Inference", "kl_divergence"]

import abc
import dataclasses
from collections.abc import Mapping

import keras
import tensorflow as tf

from ...data.dataset import Dataset
from ...networks.conditions import Columns


@dataclasses.dataclass(frozen=True)
class Inference:
    """What an autoencoder infers from a batch of observed stamps.

    >>> inference = Inference(tf.zeros([2, 8, 8]), kl=dict(vector=tf.constant([3.0, 5.0])))
    >>> float(tf.reduce_mean(inference.kl["vector"])), dict(inference.penalties)
    (4.0, {})
    """

    profiles: tf.Tensor
    """Light profiles before PSF and pixel, with latents drawn from the posterior, [N, S, S]."""
    kl: Mapping[str, tf.Tensor]
    """Name of a group of latents -> KL divergence of posterior from prior [nats], [N].  The free
    bits of the ELBO apply to the group ``vector``."""
    penalties: Mapping[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    """Name -> a scalar that is added to the loss."""


class Autoencoder(abc.ABC):
    """Networks from an observed stamp to latents and from latents to a light profile.

    `families.shared.autoencoding.Autoencoding` fits them.

    Attributes that subclasses set:
        latent_size:    Length K of the latent vector of `encode` and `decode`.
        networks:       Networks and layers that are saved in checkpoints, by name.

    The autoencoders of the family ``flow_vae`` are examples::

        >>> from galsim_deep_training.families.flow_vae.autoencoders import FlowAutoencoder
        >>> issubclass(FlowAutoencoder, Autoencoder)
        True
    """

    latent_size: int
    networks: dict[str, keras.layers.Layer]

    @property
    def noise_size(self) -> int:
        """Number of standard normal numbers that `infer` takes.  [default: ``latent_size``]"""
        return self.latent_size

    def prepare(self, dataset: Dataset) -> None:  # noqa: B027 - most need nothing
        """Adapt layers to the training data before the first step."""

    @abc.abstractmethod
    def infer(self, batch: Mapping[str, tf.Tensor], normal: tf.Tensor,
              progress: tf.Tensor) -> Inference:
        """Encode, draw latents and decode.

        Parameters:
            batch:      A dict of ``stamp`` [N, S, S], ``psf`` [N, P, P], ``noise_sigma`` [N] and
                        the columns, [N] each.
            normal:     Standard normal numbers that determine the latents, [N, noise_size]; zeros
                        give the means of the posterior.
            progress:   Fraction of the fit that is done, from 0 to 1.  An autoencoder can reduce
                        penalties and transverse connections with it.
        """

    @abc.abstractmethod
    def encode(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
               columns: Columns) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and scale of the latents of stamps [N, S, S], [N, K] each."""

    @abc.abstractmethod
    def decode(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        """The light profiles [N, S, S] before PSF and pixel of latents [N, K]."""


def kl_divergence(mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """KL divergence of N(mean, scale^2) from N(0, 1), summed over all axes but the first.

    Parameters:
        mean, scale:    [N, ...] each.

    Returns:
        [N] [nats].
    """
    each = 0.5 * (tf.square(mean) + tf.square(scale) - 1.0) - tf.math.log(scale)
    return tf.reduce_sum(each, axis=list(range(1, mean.shape.rank)))
