"""ET-VAE: a variational autoencoder whose latents do not depend on the position angle.

Nishikawa-Toomey, Smith & Gal 2020 ("Semi-supervised Learning of Galaxy Morphology using Equivariant
Transformer Variational Autoencoders"): a network predicts the position angle of a galaxy on a polar
grid; encoder and decoder work at the position angle zero; a classifier of the latents predicts the
votes of Galaxy Zoo.  With many images and few votes, both are fitted together.
"""

__all__ = ["ETVAE"]

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ...data.dataset import Dataset
from ...networks.blocks import mlp
from ...recipe import Recipe
from ..base import ModelFamily, Signature
from ..shared.signatures import observation_specs
from .networks import ACTIVATION, CanonicalEncoder, MapDecoder, PoseNetwork
from .phases import ImagesAlone, Votes
from .polar import PolarGrid
from .settings import ETVAESettings

HARMONICS = 0.42
"""Highest harmonic, in units of the number of angles."""


class ETVAE(ModelFamily, kind="et_vae"):
    """The model family ``et_vae``; see the module's docstring, and `ModelFamily` for parameters.

    Its modules are encoders.  ``embed`` gives the latent vector, the position angle [deg], and the
    predicted fractions of votes if there are answers; ``decode`` draws latents at any position
    angle.

    Raises a `galsim.GalSimConfigError` if an answer is not a column of the recipe.

    >>> from galsim_deep_training.families import make_family
    >>> from galsim_deep_training.recipe import read_recipe
    >>> family = make_family(read_recipe("training/recipes/galaxy_zoo_et_vae.yaml"))
    >>> mean, scale, angle = family.latents(tf.ones([2, 64, 64, 3]))
    >>> mean.shape, angle.shape, family.decode(mean, tf.constant([0.0, 90.0])).shape
    (TensorShape([2, 32]), TensorShape([2]), TensorShape([2, 64, 64, 3]))
    """

    Settings = ETVAESettings
    module_kind = "encoder"
    several_bands = True
    value_range = (0.0, 1.0)
    phase_types = (ImagesAlone, Votes)
    optional_phases = ("autoencoder", "votes")

    settings: ETVAESettings
    latent_size = 0

    def __init__(self, settings: ETVAESettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        unknown = set(settings.answers) - {column.name for column in recipe.columns}
        if unknown:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, model.answers, names {', '.join(sorted(unknown))}, "
                "which are not among its columns.")
        size, bands = recipe.stamp.size, len(recipe.bands)
        self.grid = PolarGrid(size, settings.radii, settings.angles,
                              int(HARMONICS * settings.angles))
        self.pose, self.encoder = PoseNetwork(settings), CanonicalEncoder(settings)
        self.decoder = MapDecoder(settings, bands)
        self.networks = dict(pose=self.pose, encoder=self.encoder, decoder=self.decoder)
        self.classifier = None
        if settings.answers:
            self.classifier = mlp(len(settings.answers), [settings.hidden], ACTIVATION)
            self.classifier.build([None, settings.latent_size])
            self.networks["classifier"] = self.classifier
        self.decode(self.latents(tf.zeros([1, size, size, bands]))[0], tf.zeros([1]))

    def prepare(self, dataset: Dataset) -> None:
        """There is nothing to prepare: columns are labels, not inputs."""

    def trained_by(self, phase: str) -> Mapping[str, keras.layers.Layer]:
        """The networks that a phase fits, by name."""
        left_out = "classifier" if phase == ImagesAlone.name else None
        return {name: network for name, network in self.networks.items() if name != left_out}

    # The methods below work eagerly and in graphs.

    def series(self, stamps: tf.Tensor) -> tf.Tensor:
        """Stamps [N, S, S] or [N, S, S, B], values from 0 to 1, as series of `PolarGrid`."""
        images = tf.convert_to_tensor(stamps)
        images = images if images.shape.rank == 4 else images[..., None]
        return self.grid.series(tf.clip_by_value(images, 0.0, 1.0))

    def angle(self, series: tf.Tensor) -> tf.Tensor:
        """The position angle [rad] of a series, [N]."""
        return self.pose(self.grid.maps(series))

    def latents(self, stamps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Mean and scale of the latents, [N, K] each, and the position angle [deg], [N]."""
        series = self.series(stamps)
        angle = self.angle(series)
        mean, scale = self.encoder(self.grid.maps(self.grid.turned(series, -angle)))
        return mean, scale, tf.math.floormod(angle * np.float32(180.0 / np.pi), 180.0)

    def decoded(self, latent: tf.Tensor) -> tf.Tensor:
        """The series at position angle zero of latents [N, K]."""
        return self.grid.series_of(self.decoder(latent))

    def decode(self, latent: tf.Tensor, position_angle: tf.Tensor) -> tf.Tensor:
        """The images [N, S, S, B] of latents [N, K] at position angles [deg], [N]."""
        angle = position_angle * np.float32(np.pi / 180.0)
        images = self.grid.images(self.grid.turned(self.decoded(latent), angle))
        return tf.clip_by_value(images, 0.0, 1.0)

    def log_fractions(self, latent: tf.Tensor) -> tf.Tensor:
        """The logarithm of the predicted fractions of votes for each answer, [N, answers]."""
        assert self.classifier is not None  # by `Votes.check_settings`
        return tf.nn.log_softmax(tf.cast(self.classifier(latent), tf.float32))

    def signatures(self) -> dict[str, Signature]:
        def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
            mean, _, angle = self.latents(image)
            outputs = dict(embedding=mean, position_angle=angle)
            if self.classifier is not None:
                outputs["vote_fractions"] = tf.exp(self.log_fractions(mean))
            return outputs

        def decode(latent: tf.Tensor, position_angle: tf.Tensor) -> dict[str, tf.Tensor]:
            return dict(image=self.decode(latent, position_angle))

        return dict(
            embed=Signature(embed, dict(image=observation_specs(self)["image"]), tolerance=1e-4),
            decode=Signature(decode, dict(
                latent=tf.TensorSpec([None, self.settings.latent_size], tf.float32),
                position_angle=tf.TensorSpec([None], tf.float32))))
