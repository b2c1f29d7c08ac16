"""The model family ``et_vae``."""

__all__ = ["ETVAE"]

from .family import ETVAE
