"""The base class of the autoencoders of the Flow-VAE.

They keep the latents of the pose (position angle, position, size, flux) separate from those whose
distribution the flow learns.
"""

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

        pose_size:          number of latents of the pose
        position_angle_size:    number of the first of these, which determine position angle and
                            parity and are standard normal in sampled galaxies; the others (shift,
                            offsets of size and flux from the catalogue) are zero in sampled
                            galaxies
        vector_size:        number of latents that belong to the galaxy as a whole
        detail_shapes:      shapes (h, w, channels) of maps of latents that belong to positions in
                            the galaxy

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
                                        parity,
                                        [N, position_angle_size].
            shape_latents:              Latents without the pose, [N, vector_size + detail_size].
            columns:                    By name, [N] each.

        Returns:
            [N, S, S].
        """
        zero_offsets = tf.zeros(
            [tf.shape(shape_latents)[0], self.pose_size - self.position_angle_size])
        return self.decode(
            tf.concat([position_angle_latents, zero_offsets, shape_latents], axis=-1), columns)
