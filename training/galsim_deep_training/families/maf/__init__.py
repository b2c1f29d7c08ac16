"""The model family ``maf``."""

__all__ = ["MAF"]

from .family import MAF
