"""The model family ``vdvae``."""

__all__ = ["VDVAE"]

from .family import VDVAE
