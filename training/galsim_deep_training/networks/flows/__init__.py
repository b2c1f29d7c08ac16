"""Conditional normalizing flows (Lanusse et al. 2021, arXiv:2008.03833, section 3.3).

Each kind is a module here, with the name that recipes use.
"""

__all__ = ["Flow", "MapFlow", "make_flow", "make_map_flow"]

from collections.abc import Sequence
from typing import Any

from .base import Flow, MapFlow


def make_flow(kind: str, latent_size: int, seed: int, **settings: Any) -> Flow:
    """A flow of vectors, for code that has no recipe.

    Parameters:
        kind:           As in recipes, such as ``"spline_coupling"``.
        latent_size:    Dimension L of the latent.
        seed:           Draws the permutations.
        **settings:     Those of the kind.

    Raises a `pydantic.ValidationError` if there is no such kind or setting.

    >>> make_flow("affine_coupling", 4, seed=1, layers=2).latent_size
    4
    """
    return Flow._chosen(dict(settings, kind=kind)).make(latent_size, seed=seed)


def make_map_flow(kind: str, shapes: Sequence[tuple[int, int, int]], seed: int,
                  **settings: Any) -> MapFlow:
    """A flow of maps of these shapes, (height, width, channels) each; see `make_flow`."""
    return MapFlow._chosen(dict(settings, kind=kind)).make(shapes, seed=seed)
