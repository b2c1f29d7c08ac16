"""Canvases of MPCC.  Each kind is one module here, named as in ``canvas: {kind: ...}``."""

__all__ = ["Canvas"]

from .base import Canvas
