"""Builders of data sets.  Each kind is one module here, named as in ``data: {kind: ...}``."""

__all__ = ["Builder", "make_builder"]

from .base import Builder, make_builder
