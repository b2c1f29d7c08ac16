"""The model family ``byol``."""

__all__ = ["BYOL"]

from .family import BYOL
