"""The base classes of the autoencoders of the Flow-VAE.

They keep the latents of the pose (position angle, position, size, flux) separate from those whose
distribution the flow learns.
"""

__all__ = ["AnySizeAutoencoder", "FlowAutoencoder", "flattened"]

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from ....networks.conditions import Columns, Conditions
from ....recipe import Recipe
from ....registry import Registered
from ...shared.autoencoder import Autoencoder


class FlowAutoencoder(Registered, Autoencoder, label="autoencoder"):
    """An autoencoder of the Flow-VAE.

    A flow learns the distribution of its latents, except those of the pose.

    A latent consists of the pose, the vector and the details, in this order.  The pose tells where
    and how the galaxy lies on the stamp; it begins with the latents of the position angle and the
    parity, and the others are zero in sampled galaxies.  The vector describes the galaxy as a
    whole, and the details are maps of latents that describe places in it.

    A subclass registers itself by the name used in recipes.

    Parameters:
        settings:       An instance of the class's ``Settings``.
        recipe:         The `Recipe`.
        conditions:     The `Conditions` that standardise columns.

    Attributes that subclasses set:
        networks:               Networks and layers that are saved in checkpoints, by name.
        pose_size:              Number of latents of the pose.
        position_angle_size:    Number of these that determine the position angle and the
                                parity; they are standard normal in sampled galaxies.
        vector_size:            Number of latents of the vector.
        detail_shapes:          Shapes of the maps of the details, a list of (h, w, channels).

    >>> {'galaxy_frame', 'lanusse2021'} <= FlowAutoencoder.kinds().keys()
    True
    """

    pose_size = position_angle_size = 0
    vector_size: int
    detail_shapes: list[tuple[int, int, int]] = []

    def __init__(self, settings: Any, recipe: Recipe, conditions: Conditions) -> None:
        self.settings = settings
        self.recipe = recipe
        self.conditions = conditions
        self.networks = {}

    @property
    def detail_size(self) -> int:
        """Total number of latents in all maps."""
        return sum(int(np.prod(shape)) for shape in self.detail_shapes)

    @property
    def offset_size(self) -> int:
        """Number of latents of the pose besides those of the position angle: shift, size, flux."""
        return self.pose_size - self.position_angle_size

    @property
    def latent_size(self) -> int:  # type: ignore[override]
        """Length of the latent vector of `encode` and `decode`."""
        return self.pose_size + self.vector_size + self.detail_size

    def maps(self, details: tf.Tensor) -> list[tf.Tensor]:
        """The maps [N, h, w, m] of details [N, detail_size], in the order of ``detail_shapes``."""
        sizes = [int(np.prod(shape)) for shape in self.detail_shapes]
        count = tf.shape(details)[0]
        return [tf.reshape(part, [count, *shape]) for part, shape in zip(
            tf.split(details, sizes, axis=-1), self.detail_shapes, strict=True)]

    def generate(self, position_angle_latents: tf.Tensor, shape_latents: tf.Tensor,
                 columns: Columns) -> tf.Tensor:
        """The light profiles of galaxies in the middle of the stamp, with size and flux imposed.

        Parameters:
            position_angle_latents:     Standard normal numbers that determine position angle and
                                        parity, [N, position_angle_size].
            shape_latents:              Latents without the pose, [N, vector_size + detail_size].
            columns:                    By name, [N] each.

        Returns:
            [N, S, S].
        """
        zero_offsets = tf.zeros([tf.shape(shape_latents)[0], self.offset_size])
        return self.decode(
            tf.concat([position_angle_latents, zero_offsets, shape_latents], axis=-1), columns)


class AnySizeAutoencoder(FlowAutoencoder):
    """An autoencoder whose decoder draws on stamps of any size, so that each galaxy has one that
    fits.

    >>> issubclass(FlowAutoencoder.named("polar_frame"), AnySizeAutoencoder)
    True
    """

    @abc.abstractmethod
    def generate_on(self, size: int, position_angle_latents: tf.Tensor, shape_latents: tf.Tensor,
                    columns: Columns) -> tf.Tensor:
        """As `generate`, on stamps of another size, at whose edge the light is zero.

        Parameters:
            size:                       Pixels Z on a side of the stamps.
            position_angle_latents:     As in `generate`.
            shape_latents:              As in `generate`.
            columns:                    As in `generate`, and ``pixel_scale`` [arcsec], [N].

        Returns:
            [N, Z, Z], whose sums are the fluxes.
        """

    @abc.abstractmethod
    def extent(self, position_angle_latents: tf.Tensor, vector: tf.Tensor, columns: Columns
               ) -> tf.Tensor:
        """Half the side of the stamps that galaxies need [pixels of the recipe], [N].

        Parameters:
            position_angle_latents:     As in `generate`.
            vector:                     The first part of the latents, [N, vector_size].
            columns:                    By name, [N] each.
        """


def flattened(maps: tf.Tensor) -> tf.Tensor:
    """A map [N, h, w, m] as details [N, h w m], the inverse of `FlowAutoencoder.maps`."""
    # The number of galaxies is stated, since -1 is ambiguous for a resolution without maps.
    return tf.reshape(maps, [tf.shape(maps)[0], int(np.prod(maps.shape[1:]))])
