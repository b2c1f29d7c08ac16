"""Conditional normalizing flows (Lanusse et al. 2021, arXiv:2008.03833, section 3.3).

Each kind is a module here, with the name that recipes use.
"""

__all__ = ["Flow", "MapFlow"]

from .base import Flow, MapFlow
