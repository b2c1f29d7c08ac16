"""VDVAE: a very deep variational autoencoder with latents of many resolutions.

Child 2020 (arXiv:2011.10650), as used for radio galaxies by Andrianomena 2023 (eqs. 3.1 to 3.3,
figure 1).  Here the decoder makes light before the PSF and is conditioned on catalogue columns; the
likelihood is that of the observed pixels given their noise, as in the Flow-VAE.

The latent z0 of the lowest resolution, a vector, represents a galaxy: it is what ``encode`` gives
and ``decode`` takes.
"""

__all__ = ["VDVAE"]

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ...data.dataset import Dataset
from ...networks.conditions import Columns
from ...networks.imputation import Imputation
from ...recipe import Recipe
from ..base import ModelFamily, Signature
from ..shared.column_imputation import ColumnImputation
from ..shared.signatures import (
    decode_signature,
    encode_signature,
    log_prob_signature,
    sample_signature,
)
from .adversarial import Adversarial
from .autoencoder import VeryDeepAutoencoder
from .phase import VeryDeepAutoencoding
from .settings import VDVAESettings


class Clipping(keras.layers.Layer):
    """How stamps are clipped, in units of the noise, which is saved with the first phase.

    >>> float(Clipping().threshold), float(Clipping().peak)
    (0.0, 0.0)
    """

    def __init__(self) -> None:
        super().__init__(name="clipping", dtype="float32")
        self.threshold, self.peak = (
            self.add_weight(shape=(), initializer="zeros", trainable=False, name=name)
            for name in ("threshold", "peak"))
        self.built = True

    def adapt(self, dataset: Dataset) -> None:
        """Take the numbers of a data set, see `observation.clipped`; zero if it is not clipped."""
        for variable, value in zip(
                (self.threshold, self.peak), dataset.clipping or (0.0, 0.0), strict=True):
            variable.assign(value)


class VDVAE(ModelFamily, kind="vdvae"):
    """The model family ``vdvae``; see the module's docstring, and `ModelFamily` for the parameters.

    Raises a `galsim.GalSimConfigError` if the recipe has no columns, none of the quantity ``flux``
    or ``magnitude``, or the stamps do not fit the networks.

    >>> from galsim_deep_training.families import make_family
    >>> from galsim_deep_training.recipe import read_recipe
    >>> family = make_family(read_recipe("training/recipes/first_vdvae.yaml"))
    >>> sorted(family.signatures())
    ['decode', 'encode', 'log_prob', 'sample']
    """

    Settings = VDVAESettings
    phase_types = (VeryDeepAutoencoding, Adversarial, ColumnImputation)
    optional_phases = ("adversarial",)
    optional_columns = True
    significant_bits = 7  # with 11, the module would have more than 10 MB

    settings: VDVAESettings

    def __init__(self, settings: VDVAESettings, recipe: Recipe) -> None:
        if not recipe.columns:
            raise GalSimConfigError(f"The recipe {recipe.path} has no columns, on which the family "
                                    f"'{self.kind}' is conditioned. Add columns.")
        super().__init__(settings, recipe)
        self.autoencoder = VeryDeepAutoencoder(settings, recipe, self.conditions)
        self.imputation = Imputation(len(recipe.columns), seed=recipe.seed)
        self.clipping = Clipping()
        self.prepared.update(clipping=self.clipping)
        self._sizes = [self.autoencoder.noise_size, len(recipe.columns)]
        self.latent_size = sum(self._sizes)
        self._create_weights()
        self.networks.update(self.autoencoder.networks, imputation=self.imputation)

    def _create_weights(self) -> None:
        columns, stamp = self.example_columns(), self.recipe.stamp
        self.imputed(columns)
        self.autoencoder.infer(
            dict(columns, stamp=tf.ones([1, stamp.size, stamp.size]), noise_sigma=tf.ones([1]),
                 psf=tf.ones([1, stamp.psf_size, stamp.psf_size])),
            tf.zeros([1, self.autoencoder.noise_size]), tf.constant(0.0))

    def prepare(self, dataset: Dataset) -> None:
        super().prepare(dataset)
        self.clipping.adapt(dataset)

    # The methods below work eagerly and in graphs.

    def sample(self, normal: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Convert standard normal numbers [N, L] to light profiles [N, S, S]."""
        normal, missing = tf.split(normal, self._sizes, axis=-1)
        return self.autoencoder.sample(normal, self.imputed(columns, missing))

    def log_prob(self, latent: tf.Tensor, columns: Columns) -> tf.Tensor:
        """Log-density of z0 [N, K] given the columns, [N]."""
        prior = self.autoencoder.prior(columns)
        mean, scale = prior.mean[:, 0, 0], prior.scale[:, 0, 0]
        each = 0.5 * tf.square((latent - mean) / scale) + tf.math.log(scale)
        return -tf.reduce_sum(each + 0.5 * np.float32(np.log(2 * np.pi)), axis=-1)

    def signatures(self) -> dict[str, Signature]:
        autoencoder, size = self.autoencoder, self.autoencoder.latent_size
        return dict(sample=sample_signature(self, self.sample),
                    decode=decode_signature(self, size, autoencoder.decode),
                    encode=encode_signature(self, autoencoder.encode),
                    log_prob=log_prob_signature(self, size, self.log_prob))
