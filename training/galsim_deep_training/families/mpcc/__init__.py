"""The model family ``mpcc``."""

__all__ = ["MPCC"]

from .family import MPCC
