"""The model family ``residual_autoencoder``."""

__all__ = ["ResidualAutoencoder"]

from .family import ResidualAutoencoder
