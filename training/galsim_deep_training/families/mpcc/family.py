"""MPCC: a GAN with an encoder and a mixture of Gaussians as prior, which finds classes.

Matching priors and conditionals for clustering: Astorga et al. 2020 (ECCV, "MPCC: Matching priors
and conditionals for clustering", arXiv:2008.09641); Astorga 2021 (M.Sc. thesis, Universidad de
Chile), section 7.2 and chapter 8, to which equations and tables in this package refer.

A class y is drawn, a latent z from the Gaussian of that class, and a light profile from both by the
generator.  The discriminator and the encoder see that profile through the PSF of a real stamp and
with its noise, so that the generator learns light before the PSF.  Classes are found without
labels, or given as labels.

The networks, and what they compute, are in `families.mpcc.model`.
"""

__all__ = ["MPCC"]

from typing import Any

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ...data.dataset import Dataset
from ...recipe import Recipe
from ..base import Columns, Signature
from ..shared.column_imputation import ColumnImputation
from ..shared.signatures import POSITION_ANGLE_SCALE, encode_signature, fitting_signatures
from .model import MPCCModel
from .phases.adversarial import Adversarial
from .phases.autoencoder import MixtureAutoencoding
from .phases.class_weights import ClassWeightsPhase
from .phases.inference import Inference
from .phases.latent_flow import MixtureFlow
from .settings import MPCCSettings, NamedClass


class MPCC(MPCCModel, kind="mpcc"):
    """The model family ``mpcc``; see the module's docstring, and `ModelFamily` for the parameters.

    Raises:
        galsim.GalSimConfigError: if sizes of the networks, or the phases of the recipe, do not fit
            each other.

    Example::

        >>> from galsim_deep_training.families import make_family
        >>> from galsim_deep_training.recipe import read_recipe
        >>> family = make_family(read_recipe("training/recipes/digits_mpcc.yaml"))
        >>> normal = tf.random.stateless_normal([3, family.latent_size], seed=[1, 2])
        >>> images, classes = family.sample_classes(normal, {}, tf.constant([0, 7, -1]))
        >>> images.shape, classes[:2].numpy().tolist()
        (TensorShape([3, 8, 8]), [0, 7])
    """

    phase_types = (MixtureAutoencoding, Adversarial, Inference, ClassWeightsPhase, MixtureFlow,
                   ColumnImputation)
    optional_phases = ("autoencoder", "flow", "columns")

    def __init__(self, settings: MPCCSettings, recipe: Recipe) -> None:
        self._check_phases(settings, recipe)
        super().__init__(settings, recipe)

    @classmethod
    def _check_phases(cls, settings: MPCCSettings, recipe: Recipe) -> None:
        """Check the phases against the settings of the networks."""
        if "flow" in recipe.fit and settings.conditional and recipe.columns:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit, has the phase 'flow', which is possible only with "
                "model.conditional: false. Remove the phase, or set model.conditional: false.")
        if "columns" in recipe.fit and not recipe.columns:
            raise GalSimConfigError(f"The recipe {recipe.path}, fit, has the phase 'columns', but "
                                    "the recipe has no columns. Remove the phase.")
        adversarial, classes = cls.fit_settings(recipe)["adversarial"], settings.classes
        jitter = adversarial.jitter
        if settings.canvas.cls.wraps and (jitter.shift or jitter.turn or jitter.stretch):
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.adversarial.jitter, moves images on a square, but "
                f"the canvas '{settings.canvas.kind}' is a polar grid. Leave it out.")
        if adversarial.mismatched and not (classes.supervised and classes.number > 1):
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.adversarial.mismatched, needs several classes that "
                "are labels: model.classes.supervised: true.")

    def classes(self, dataset: Dataset) -> list[dict[str, Any]]:
        rows = {name: tf.constant(values[dataset.train_indices])
                for name, values in dataset.columns.items()}
        shares = np.mean(np.exp(self.log_class_weights(rows, len(dataset.train_indices))), axis=0)
        names = self.settings.classes.names or [
            NamedClass(name=f"class {index}", description="") for index in range(len(shares))]
        return [dict(name=named.name, description=named.description, share=round(float(share), 6))
                for named, share in zip(names, shares, strict=True)]

    # ---- signatures of a module --------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        columns, angles = self.column_specs(), self.canvas.position_angle_size
        normal = tf.TensorSpec([None, self.latent_size], tf.float32)
        latent = tf.TensorSpec([None, angles + self.settings.latent_size], tf.float32)
        galaxy_class = tf.TensorSpec([None], tf.int32)
        drawing = (fitting_signatures(self, self.latents, self.draw, has_classes=True)
                   if self.recipe.stamp.sizes else
                   dict(sample=Signature(self._sample, dict(
                       columns, random_normal=normal, galaxy_class=galaxy_class))))
        return dict(
            drawing,
            decode=Signature(self._decode, dict(
                columns, latent=latent, galaxy_class=galaxy_class)),
            prior=Signature(self._prior, dict(columns, galaxy_class=galaxy_class)),
            encode=encode_signature(self, self._encode))

    def _sample(self, random_normal: tf.Tensor, galaxy_class: tf.Tensor,
                **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        image, numbers = self.sample_classes(random_normal, columns, galaxy_class)
        return dict(image=image[..., None], galaxy_class=numbers)

    def _valid_one_hot(self, galaxy_class: tf.Tensor) -> tf.Tensor:
        return self.one_hot(tf.clip_by_value(galaxy_class, 0, self.settings.classes.number - 1))

    def _decode(self, latent: tf.Tensor, galaxy_class: tf.Tensor,
                **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        position_angle_latents, latent = tf.split(
            latent, [self.canvas.position_angle_size, self.settings.latent_size], axis=-1)
        image = self.generate(latent, self._valid_one_hot(galaxy_class), position_angle_latents,
                              self.imputed(columns))
        return dict(image=image[..., None])

    def _prior(self, galaxy_class: tf.Tensor, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        # These are the Gaussians; with a flow, they scale and shift its output.
        values, count = self.imputed(columns), tf.shape(galaxy_class)[0]
        classes, conditions = (self._valid_one_hot(galaxy_class),
                               self.network_conditions(values, count))
        zeros = tf.zeros([count, self.settings.latent_size])
        mean = self.prior.draw(zeros, classes, conditions)
        return dict(mean=mean, scale=self.prior.draw(zeros + 1.0, classes, conditions) - mean,
                    log_class_probability=tf.reduce_sum(
                        classes * self.marginal_log_class_weights(columns, count), axis=-1))

    def _encode(self, stamps: tf.Tensor, psfs: tf.Tensor, noise_sigma: tf.Tensor,
                columns: Columns) -> dict[str, tf.Tensor]:
        views, angles = self.canvas.view(stamps, psfs, noise_sigma, columns)
        mean, scale = self.encode_views(
            views, self.network_conditions(columns, tf.shape(stamps)[0]))
        # Latents as ``decode`` takes them.
        return dict(
            mean=tf.concat([angles, mean], axis=-1),
            scale=tf.concat([tf.fill(tf.shape(angles), POSITION_ANGLE_SCALE), scale], axis=-1),
            log_class_probability=self.log_class_probability(mean, columns))
