"""Autoencoders of the Flow-VAE.  Each is a module here, with the name that recipes use."""

__all__ = ["FlowAutoencoder"]

from .base import FlowAutoencoder
