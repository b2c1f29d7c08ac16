"""The model family ``simsiam``."""

__all__ = ["SimSiam"]

from .family import SimSiam
