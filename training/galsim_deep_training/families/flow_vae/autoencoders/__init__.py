"""Autoencoders of the Flow-VAE.  Each is a module here, of the name by which recipes choose it."""

__all__ = ["FlowAutoencoder"]

from .base import FlowAutoencoder
