"""What an autoencoder of the Flow-VAE offers besides: latents of the pose apart from the others."""

__all__ = ["FlowAutoencoder"]

from typing import Any

import numpy as np
import tensorflow as tf

from ....recipe import Recipe
from ....registry import Registered
from ...base import Columns, Conditions
from ...shared.autoencoder import Autoencoder


class FlowAutoencoder(Registered, Autoencoder, label="autoencoder"):
    """An autoencoder; a flow learns the distribution of its latents, except for those of the pose.

    A subclass registers itself by the name used in recipes.  It sets ``networks``, and the sizes of
    its latents, in the order in which a latent vector holds them:

        pose_size:          number of latents of the pose: first those of position angle and
                            handedness, then shift and offsets of size and flux from the catalogue,
                            which are zero in sampled galaxies
        position_angle_size:    number of these first ones; they are standard normal in sampled
                            galaxies
        vector_size:        number of latents that belong to the galaxy as a whole
        detail_shapes:      shapes (h, w, channels) of maps of latents that belong to places in the
                            galaxy

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
