"""Residual autoencoder: a short vector from which an image can be drawn again.

The autoencoder of the Milky Way challenge.  Encoder: a convolution, and five levels of six residual
blocks and a maximum pooling; a dense layer and a sigmoid give the vector, whose numbers are between
0 and 1.  Each block counts by a learned factor alpha.  Decoder: a dense layer, five levels of a
residual block and an upsampling, and a convolution.  Numbers of channels, which the slides do not
state, are those of the settings.  Images that look alike have vectors close to each other.
"""

__all__ = ["ResidualAutoencoder"]

from collections.abc import Iterator
from typing import Any, Self

import keras
import numpy as np
import pydantic
import tensorflow as tf
from galsim import GalSimConfigError

from ...data.dataset import Dataset
from ...fitting.phase import Batch, GradientPhase
from ...networks.blocks import ACTIVATION
from ...recipe import Recipe
from ...settings import Channels, Layers, Settings
from ..base import ModelFamily, Signature
from ..shared.signatures import observation_specs


class ResidualAutoencoderSettings(Settings):
    """Settings of the networks of the family ``residual_autoencoder``.

    >>> ResidualAutoencoderSettings().blocks
    6
    """

    channels: tuple[Channels, ...] = (8, 12, 16, 24, 32)
    """Channels of each level, which halves the resolution."""
    blocks: Layers = 6
    """Residual blocks in each level of the encoder."""
    latent_size: Channels = 64
    """Length of the vector."""

    @pydantic.model_validator(mode="after")
    def _some_levels(self) -> Self:
        if not self.channels:
            raise ValueError("channels needs one number for each level, at least one")
        return self


class ScaledBlock(keras.layers.Layer):
    """A residual block ``x + alpha f(x)`` with a learned factor alpha, which starts at 0.1.

    >>> block = ScaledBlock(4)
    >>> _ = block.alpha.assign(0.0)
    >>> float(tf.reduce_sum(block(tf.ones([1, 2, 2, 4]))))
    16.0
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(0.1), name="alpha")
        self.first, self.second = (
            keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer="he_normal")
            for _ in range(2))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        activation = keras.activations.get(ACTIVATION)
        y = self.second(activation(self.first(activation(x))))
        return x + tf.cast(self.alpha, y.dtype) * y


class Reconstruction(GradientPhase):
    """Fit encoder and decoder on the mean square of the difference of the images.

    >>> Reconstruction.name
    'reconstruction'
    """

    name = "reconstruction"

    def __init__(self, family: "ResidualAutoencoder", settings: Any) -> None:
        self.family = family
        super().__init__(settings, family.recipe.seed,
                         dict(encoder=family.encoder, decoder=family.decoder))

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        return dataset.batches(self.settings.batch_size, self.seed, start)

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        images = self.family.images(batch["stamp"])
        made = self.family.decoder(self.family.encoder(images))
        error = tf.reduce_mean(tf.square(made - images))
        variance = tf.reduce_mean(tf.square(images - tf.reduce_mean(images, axis=0)))
        return error, dict(unexplained=error / tf.maximum(variance, 1e-12))

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        loss, scalars = self.loss(batch, tf.constant(-1))
        return dict(scalars, loss=loss)


class ResidualAutoencoder(ModelFamily, kind="residual_autoencoder"):
    """The model family ``residual_autoencoder``; see the module's docstring, and `ModelFamily`.

    Raises a `galsim.GalSimConfigError` if the stamps cannot be halved in each level.

    >>> from galsim_deep_training.families import make_family
    >>> from galsim_deep_training.recipe import read_recipe
    >>> family = make_family(read_recipe("training/recipes/galaxy_zoo_autoencoder.yaml"))
    >>> family.embed(tf.ones([2, 64, 64, 3])).shape
    TensorShape([2, 64])
    """

    Settings = ResidualAutoencoderSettings
    module_kind = "encoder"
    several_bands = True
    value_range = (0.0, 1.0)
    phase_types = (Reconstruction,)

    settings: ResidualAutoencoderSettings
    latent_size = 0

    def __init__(self, settings: ResidualAutoencoderSettings, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        size, bands, levels = recipe.stamp.size, len(recipe.bands), len(settings.channels)
        if size % 2**levels:
            raise GalSimConfigError(
                f"The recipe {recipe.path}: stamp.size is {size}, and model.channels has "
                f"{levels} levels: the size must be a multiple of {2**levels}.")
        smallest = size // 2**levels
        layers: list[keras.layers.Layer] = [keras.Input((size, size, bands))]
        for channels in settings.channels:
            # Between levels, the convolution changes the number of channels.
            layers.append(keras.layers.Conv2D(channels, 3, padding="same"))
            layers += [ScaledBlock(channels) for _ in range(settings.blocks)]
            layers.append(keras.layers.MaxPooling2D(2))
        layers += [keras.layers.Flatten(), keras.layers.Dense(
            settings.latent_size, activation="sigmoid", dtype="float32")]
        self.encoder = keras.Sequential(layers, name="encoder")
        last = settings.channels[-1]
        layers = [keras.Input((settings.latent_size,)), keras.layers.Dense(smallest**2 * last),
                  keras.layers.Reshape((smallest, smallest, last))]
        for channels in reversed(settings.channels):
            layers += [keras.layers.Conv2D(channels, 3, padding="same"), ScaledBlock(channels),
                       keras.layers.UpSampling2D(2)]
        layers.append(keras.layers.Conv2D(bands, 3, padding="same", dtype="float32"))
        self.decoder = keras.Sequential(layers, name="decoder")
        # The decoder is needed for the fit alone.
        self.networks.update(encoder=self.encoder)

    def images(self, stamps: tf.Tensor) -> tf.Tensor:
        """Stamps [N, S, S] or [N, S, S, B] as images with values from 0 to 1, [N, S, S, B]."""
        images = tf.convert_to_tensor(stamps)
        return tf.clip_by_value(images if images.shape.rank == 4 else images[..., None], 0.0, 1.0)

    def embed(self, stamps: tf.Tensor) -> tf.Tensor:
        """The vectors of stamps, [N, D]."""
        return self.encoder(self.images(stamps))

    def signatures(self) -> dict[str, Signature]:
        def call(image: tf.Tensor) -> dict[str, tf.Tensor]:
            return dict(embedding=self.embed(image))

        return dict(embed=Signature(call, dict(image=observation_specs(self)["image"])))
