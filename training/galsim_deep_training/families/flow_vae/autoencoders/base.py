"""What an autoencoder of the Flow-VAE offers besides: latents of the pose apart from the others."""

__all__ = ["FlowAutoencoder"]

from typing import Any

import numpy as np
import tensorflow as tf

from ....recipe import Recipe
from ....registry import Registered
from ...base import Columns, Conditions
from ...shared.autoencoder import Autoencoder


class FlowAutoencoder(Registered, Autoencoder, what="autoencoder"):
    """An autoencoder whose latents, but for the pose, a flow learns.

    A subclass registers itself by the name used in recipes.  It sets ``networks``, and the sizes of
    its latents, in the order in which a latent vector holds them:

        pose_size:          where and how the galaxy lies on the stamp: numbers that decide its
                            position angle and handedness, and others that are zero in what is
                            sampled
        vector_size:        latents that belong to the galaxy as a whole
        detail_shapes:      maps of latents that belong to places in it, a list of (h, w, channels)
        position_angle_size:    how many of the pose are those first ones; standard normal in what
                            is sampled

    Parameters:
        settings:       An instance of the class's ``Settings``.
        recipe:         The `Recipe`.
        conditions:     The `Conditions` that standardise columns.
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
        """How many numbers all maps have."""
        return sum(int(np.prod(shape)) for shape in self.detail_shapes)

    @property
    def latent_size(self) -> int:  # type: ignore[override]
        """Length of the latent vector of `encode` and `decode`."""
        return self.pose_size + self.vector_size + self.detail_size

    def generate(self, position_angle_latents: tf.Tensor, shape_latents: tf.Tensor,
                 columns: Columns) -> tf.Tensor:
        """The light profiles of galaxies in the middle of the stamp, with size and flux imposed.

        Parameters:
            position_angle_latents:     Standard normal numbers that decide the position angles,
                                        [N, position_angle_size].
            shape_latents:              Latents but for the pose, [N, vector_size + detail_size].
            columns:                    By name, [N] each.

        Returns:
            [N, S, S].
        """
        rest = tf.zeros(
            [tf.shape(shape_latents)[0], self.pose_size - self.position_angle_size])
        return self.decode(
            tf.concat([position_angle_latents, rest, shape_latents], axis=-1), columns)
