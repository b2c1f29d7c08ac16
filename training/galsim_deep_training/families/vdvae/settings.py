"""Settings of the networks of the very deep VAE: the ``model`` part of a recipe."""

__all__ = ["ContourSettings", "VDVAESettings"]

from typing import Self

import pydantic

from ...settings import Arcsec, Channels, Layers, Maps, Positive, Settings


class ContourSettings(Settings):
    """The contour above which the flux column counts the light, see `rendering.contour`.

    >>> ContourSettings(beam=5.4, flux=0.45).beam
    5.4
    """

    beam: Arcsec
    """FWHM of the circular Gaussian beam [arcsec]."""
    flux: Positive
    """Flux of a point source whose peak is at the contour."""


class VDVAESettings(Settings):
    """Settings of the networks of the family ``vdvae``.

    The numbers of blocks are those of Andrianomena 2023 (section 3.1).  The paper does not state
    the numbers of channels; those here fit two cores.

    >>> settings = VDVAESettings()
    >>> settings.vector_size, len(settings.channels)
    (256, 6)
    """

    encoder_blocks: tuple[Layers, ...] = (3, 3, 2, 2, 2, 1)
    """Residual blocks in each stage of the encoder, from the full resolution to a single cell."""
    decoder_blocks: tuple[Layers, ...] = (5, 5, 4, 3, 2, 1)
    """Top-down blocks in each stage of the decoder, from a single cell to the full resolution."""
    channels: tuple[Channels, ...] = (8, 16, 32, 64, 96, 192)
    """Channels of each stage, from the full resolution to a single cell."""
    vector_size: Channels = 256
    """Length of z0, the latent of the first top-down block, which represents a galaxy."""
    details: tuple[Maps, ...] = (0, 0, 1, 2, 4, 16)
    """Channels of the latents of the other top-down blocks of each stage, from the full resolution
    to a single cell.  A stage with 0 has no latents: its blocks are deterministic."""
    contour: ContourSettings | None = None
    """The contour above which the flux column counts the light, for clipped images.
    [default: the column has the total flux]"""

    @pydantic.model_validator(mode="after")
    def _same_stages(self) -> Self:
        lengths = {len(part) for part in (self.encoder_blocks, self.decoder_blocks, self.channels,
                                          self.details)}
        if len(lengths) > 1 or min(lengths) < 2:
            raise ValueError("encoder_blocks, decoder_blocks, channels and details need one number "
                             "for each stage, the same number of stages in all four, at least two")
        return self
