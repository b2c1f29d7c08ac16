"""The base class of the autoencoders of the Flow-VAE.

They keep the latents of the pose (position angle, position, size, flux) separate from those whose
distribution the flow learns.
"""

__all__ = ["FlowAutoencoder"]

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
    def latent_size(self) -> int:  # type: ignore[override]
        """Length of the latent vector of `encode` and `decode`."""
        return self.pose_size + self.vector_size + self.detail_size

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
        zero_offsets = tf.zeros(
            [tf.shape(shape_latents)[0], self.pose_size - self.position_angle_size])
        return self.decode(
            tf.concat([position_angle_latents, zero_offsets, shape_latents], axis=-1), columns)
