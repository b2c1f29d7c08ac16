"""What an autoencoder of the Flow-VAE offers: stamps to latents, latents to light profiles."""

__all__ = ["Autoencoder", "Inference", "divergence"]

import abc
import dataclasses

import numpy as np
import tensorflow as tf

from ..registry import Registered


@dataclasses.dataclass(frozen=True)
class Inference:
    """What an autoencoder makes of a batch of observed stamps."""

    profiles: tf.Tensor
    """Light profiles before PSF and pixel, with latents drawn from the posterior, [N, S, S]."""
    divergences: dict
    """Name of a group of latents -> Kullback-Leibler divergence of posterior from prior, [N]."""
    penalties: dict
    """Name -> what else is added to the loss, a number."""


class Autoencoder(Registered, abc.ABC):
    """Networks from an observed stamp to latents and from latents to a light profile.

    A subclass registers itself by the name used in recipes.  It sets ``networks``, a dict of all
    that is saved in checkpoints, and the sizes of its latents, in the order in which a latent
    vector holds them:

        pose_size:      where and how the galaxy lies on the stamp: numbers that decide its position
                        angle and handedness, and others that are zero in what is sampled
        vector_size:    latents that belong to the galaxy as a whole
        detail_shapes:  maps of latents that belong to places in it, a list of (h, w, channels)
        turn_size:      how many of the pose are those first ones; standard normal in what is
                        sampled
    """

    pose_size = turn_size = 0
    detail_shapes = ()

    def __init__(self, settings, recipe, context):
        self.settings = settings
        self.recipe = recipe
        self.context = context
        self.networks = {}

    @property
    def detail_size(self):
        """How many numbers all maps have."""
        return sum(int(np.prod(shape)) for shape in self.detail_shapes)

    @property
    def latent_size(self):
        """Length of the latent vector of `encode` and `decode`."""
        return self.pose_size + self.vector_size + self.detail_size

    def prepare(self, dataset):  # noqa: B027 - most need nothing
        """Take from the training data what the networks need before the first step."""

    @abc.abstractmethod
    def infer(self, batch, normal, progress):
        """Encode, draw latents and decode.

        Parameters:
            batch:      A dict of ``stamp`` [N, S, S], ``psf`` [N, P, P], ``noise_sigma`` [N] and
                        the columns, [N] each.
            normal:     Standard normal numbers that decide the latents, [N, latent_size]; zeros for
                        the means of the posterior.
            progress:   How much of the fit is done, 0 to 1.

        Returns:
            an `Inference`.
        """

    @abc.abstractmethod
    def encode(self, stamps, psfs, noise_sigma, columns):
        """Mean and scale of the latents of stamps, each [N, latent_size]."""

    @abc.abstractmethod
    def decode(self, latent, columns):
        """The light profiles of latents [N, latent_size]: [N, S, S]."""

    def generate(self, turn, shape, columns):
        """The light profiles of galaxies in the middle of the stamp, as large and bright as asked.

        Parameters:
            turn:       Standard normal numbers that decide the position angles, [N, turn_size].
            shape:      Latents but for the pose, [N, vector_size + detail_size].
            columns:    A dict, [N] each.

        Returns:
            [N, S, S].
        """
        rest = tf.zeros([tf.shape(shape)[0], self.pose_size - self.turn_size])
        return self.decode(tf.concat([turn, rest, shape], axis=-1), columns)


def divergence(mean, scale):
    """Kullback-Leibler divergence of N(mean, scale^2) from N(0, 1), summed but for the first axis.

    Returns [N] [nats].
    """
    each = 0.5 * (tf.square(mean) + tf.square(scale) - 1.0) - tf.math.log(scale)
    return tf.reduce_sum(each, axis=list(range(1, mean.shape.rank)))
