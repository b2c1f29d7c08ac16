"""The model family ``affine_flow``."""

__all__ = ["AffineFlow"]

from .family import AffineFlow
