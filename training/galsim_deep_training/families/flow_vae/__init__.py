"""The model family ``flow_vae``."""

__all__ = ["FlowVAE"]

from .family import FlowVAE
