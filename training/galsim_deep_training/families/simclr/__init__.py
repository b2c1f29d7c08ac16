"""The model family ``simclr``."""

__all__ = ["SimCLR"]

from .family import SimCLR
