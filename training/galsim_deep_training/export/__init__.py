"""From a fitted family to a module on disk."""

__all__ = ["export"]

from .module import export
