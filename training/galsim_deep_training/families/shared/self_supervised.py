"""What the self-supervised encoders share: networks, the phase, the signature ``embed``.

Andrianomena 2023, sections 3.2 to 3.4.  Two random views of each image are encoded and projected;
the families differ in how they compare the projections.
"""

__all__ = ["SelfSupervised", "SelfSupervisedSettings", "TwoViews", "TwoViewsSettings",
           "cosine_similarity"]

import abc
from collections.abc import Iterator
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from ...data.dataset import Dataset
from ...fitting.phase import Batch, GradientPhase
from ...networks.resnet import ResNet, ResNetSettings
from ...recipe import PhaseSettings, Recipe
from ...settings import Channels, Settings
from ..base import ModelFamily, Signature
from .signatures import observation_specs
from .views import ViewSettings, prepared, random_view


class SelfSupervisedSettings(Settings):
    """Settings of the networks of a self-supervised encoder.

    >>> SelfSupervisedSettings().projection
    128
    """

    resnet: ResNetSettings = ResNetSettings()
    """The encoder, whose output is the embedding."""
    hidden: Channels = 256
    """Units of the hidden layer of the projection."""
    projection: Channels = 128
    """Length of the projected vector, in which views are compared."""


class TwoViewsSettings(PhaseSettings):
    """Settings of the phase ``views``.

    >>> TwoViewsSettings(steps=100).views.rotate
    True
    """

    views: ViewSettings = ViewSettings()
    """How the two views of an image differ."""


def perceptron(hidden: int, units: int) -> keras.Sequential:
    """A multilayer perceptron with one hidden layer, whose output is float32.

    >>> perceptron(8, 4)(tf.ones([2, 6])).shape
    TensorShape([2, 4])
    """
    return keras.Sequential([
        keras.layers.Dense(hidden, use_bias=False), keras.layers.BatchNormalization(),
        keras.layers.ReLU(), keras.layers.Dense(units, dtype="float32")])


def cosine_similarity(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Cosine of the angle between vectors [N, D], [N].

    >>> cosine_similarity(tf.constant([[3.0, 0.0]]), tf.constant([[1.0, 1.0]])).numpy().round(3)
    array([0.707], dtype=float32)
    """
    return tf.reduce_sum(unit(first) * unit(second), axis=-1)


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors [N, D] divided by their length.

    >>> unit(tf.constant([[3.0, 4.0]])).numpy()
    array([[0.6, 0.8]], dtype=float32)
    """
    return tf.math.l2_normalize(vectors, axis=-1)


class SelfSupervised(ModelFamily):
    """The base class of the families ``simclr``, ``byol`` and ``simsiam``.

    The parameters are those of `ModelFamily`.  A subclass has the phase, a `TwoViews`.

    Attributes:
        encoder:        The network from images to embeddings.
        projector:      The network from embeddings to the vectors that are compared.

    >>> SelfSupervised.module_kind, SelfSupervised.several_bands
    ('encoder', True)
    """

    Settings = SelfSupervisedSettings
    module_kind = "encoder"
    several_bands = True

    settings: SelfSupervisedSettings
    latent_size = 0

    def __init__(self, settings: SelfSupervisedSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self.encoder, self.projector = self.new_networks()
        self.networks.update(encoder=self.encoder)

    def new_networks(self) -> tuple[keras.Model, keras.Sequential]:
        """Another encoder and projector, with weights of their own."""
        stamp, settings = self.recipe.stamp, self.settings
        encoder = ResNet(settings.resnet)
        projector = perceptron(settings.hidden, settings.projection)
        projector(encoder(tf.zeros([1, stamp.size, stamp.size, len(self.recipe.bands)])))
        return encoder, projector

    def images(self, stamps: tf.Tensor, noise_sigma: tf.Tensor) -> tf.Tensor:
        """Stamps [N, S, S] or [N, S, S, B] as the encoder sees them, [N, S, S, B]."""
        return prepared(stamps if len(stamps.shape) == 4 else stamps[..., None], noise_sigma)

    def embed(self, stamps: tf.Tensor, noise_sigma: tf.Tensor) -> tf.Tensor:
        """The embeddings of stamps, [N, D]."""
        return self.encoder(self.images(stamps, noise_sigma))

    def signatures(self) -> dict[str, Signature]:
        def call(image: tf.Tensor, noise_sigma: tf.Tensor) -> dict[str, tf.Tensor]:
            return dict(embedding=self.embed(image, noise_sigma[:, 0]))

        specs = observation_specs(self)
        return dict(embed=Signature(call, {name: specs[name] for name in ("image", "noise_sigma")}))


class TwoViews(GradientPhase):
    """Fit an encoder on pairs of views of the same image.

    Parameters:
        family:     A `SelfSupervised`.
        settings:   `TwoViewsSettings`.

    >>> TwoViews.Settings(steps=10).batch_size
    64
    """

    name = "views"
    Settings: ClassVar[type[PhaseSettings]] = TwoViewsSettings

    def __init__(self, family: SelfSupervised, settings: Any) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed, self.fitted_networks())

    def fitted_networks(self) -> dict[str, keras.layers.Layer]:
        """The networks that gradients fit, by name."""
        return dict(encoder=self.family.encoder, projector=self.family.projector)

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        # The views are turned anyway.
        return dataset.batches(self.settings.batch_size, self.seed, start, augmented=False)

    @abc.abstractmethod
    def compare(self, first: tf.Tensor, second: tf.Tensor, training: bool) -> tf.Tensor:
        """The loss of two views of each image, [N, S, S, B] each; a scalar."""

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        first, second = self._views(batch, step)
        return self.compare(first, second, training=True), {}

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        first, second = self._views(batch, tf.constant(-1))
        vectors = unit(self.family.encoder(first))
        # One if embeddings fill all directions alike, zero if all are the same.
        spread = tf.sqrt(tf.reduce_sum(tf.math.reduce_variance(vectors, axis=0)))
        return dict(loss=self.compare(first, second, training=False), spread=spread)

    def _views(self, batch: Batch, step: tf.Tensor) -> list[tf.Tensor]:
        images = self.family.images(batch["stamp"], batch["noise_sigma"])
        seed = tf.stack([self.seed, tf.cast(step, tf.int32)])
        return [random_view(images, self.settings.views,
                            tf.random.experimental.stateless_fold_in(seed, number))
                for number in range(2)]
