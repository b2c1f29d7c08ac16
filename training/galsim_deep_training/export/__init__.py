"""Export of a fitted model family as a module."""

__all__ = ["export"]

from .module import export
