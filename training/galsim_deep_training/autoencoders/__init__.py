"""Autoencoders of the Flow-VAE.  Each is one file here, registered by the name of recipes."""

__all__ = ["Autoencoder"]

from .base import Autoencoder
