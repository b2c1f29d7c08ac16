"""Canvases.  Each kind is one file here, registered by the name that recipes use."""

__all__ = ["Canvas"]

from .base import Canvas
