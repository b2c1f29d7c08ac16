"""Settings of the networks of the equivariant transformer VAE: the ``model`` part of a recipe."""

__all__ = ["ETVAESettings"]

from typing import Self

import pydantic

from ...settings import Channels, Positive, Settings, Text


class ETVAESettings(Settings):
    """Settings of the networks of the family ``et_vae``.

    >>> settings = ETVAESettings(answers=["smooth", "features"])
    >>> settings.angles, settings.latent_size
    (48, 32)
    """

    answers: tuple[Text, ...] = ()
    """Columns with the numbers of votes for the answers to one question, at least two.  If a galaxy
    has no votes at all, its answers are not known.  [default: there are no votes]"""
    latent_size: Channels = 32
    """Length of the latent vector, which does not depend on the position angle."""
    radii: Channels = 24
    """Radii of the polar grid; a multiple of the power of two of the number of ``channels``."""
    angles: Channels = 48
    """Angles of the polar grid; a multiple of twice that power of two."""
    pose_channels: tuple[Channels, ...] = (8, 8)
    """Channels of the convolutions that find the position angle."""
    channels: tuple[Channels, ...] = (16, 32, 48)
    """Channels of the convolutions of the encoder, each of which halves the grid."""
    hidden: Channels = 128
    """Units of the hidden layers of encoder and classifier."""
    pixel_error: Positive = 0.1
    """Standard deviation of a pixel in the likelihood of images, whose values are from 0 to 1."""

    @pydantic.model_validator(mode="after")
    def _grid_can_be_halved(self) -> Self:
        if not self.channels or not self.pose_channels:
            raise ValueError("channels and pose_channels need one number for each convolution, at "
                             "least one")
        factor = 2**len(self.channels)
        if self.radii % factor or self.angles % (2 * factor):
            raise ValueError(
                f"radii should be a multiple of {factor}, and angles one of {2 * factor}, since "
                f"there are {len(self.channels)} channels")
        if len(self.answers) == 1 or len(set(self.answers)) < len(self.answers):
            raise ValueError("answers should be the names of different columns, at least two")
        return self
