"""Conditional normalizing flows on the latent (Lanusse et al. 2021, section 3.3).

Each kind is one file here; recipes name it by its entry in `FLOWS`.
"""

__all__ = ["FLOWS", "CouplingFlow", "MAF", "MapFlow", "SplineFlow", "all_flow_settings",
           "all_map_flow_settings", "make_flow", "make_map_flow"]

import inspect

from galsim import GalSimConfigError

from .coupling import CouplingFlow
from .maf import MAF
from .maps import MapFlow
from .spline import SplineFlow

FLOWS = {"coupling": CouplingFlow, "maf": MAF, "spline": SplineFlow}


def make_flow(kind, latent_size, seed, **settings):
    """The flow that a recipe asks for.

    Parameters:
        kind:           One of `FLOWS`.
        latent_size:    Dimension L of the latent.
        seed:           Draws the permutations.
        settings:       Those of the kind, such as ``layers`` and ``hidden``; see its class.

    Returns:
        a `Flow`.

    Raises a `galsim.GalSimConfigError` where there is no such kind or setting.
    """
    cls = _kind(kind)
    return cls(latent_size, seed=seed, **_filled_in(cls, f"kind '{kind}'", settings))


def make_map_flow(shapes, seed, **settings):
    """The flow of maps of those shapes that a recipe asks for; see `maps.MapFlow`."""
    return MapFlow(shapes, seed=seed, **_filled_in(MapFlow, "maps of details", settings))


def all_flow_settings(kind, **settings):
    """The settings of `make_flow` with all defaults, a dict: what checkpoints belong to."""
    cls = _kind(kind)
    return dict(_filled_in(cls, f"kind '{kind}'", settings), kind=kind, format=cls.format)


def all_map_flow_settings(**settings):
    """The settings of `make_map_flow` likewise."""
    return dict(_filled_in(MapFlow, "maps of details", settings), format=MapFlow.format)


def _kind(kind):
    if kind not in FLOWS:
        raise GalSimConfigError(
            f"There is no kind of flow '{kind}'; there are: {', '.join(sorted(FLOWS))}.")
    return FLOWS[kind]


def _filled_in(flow, what, settings):
    """The settings with the defaults of a class of flows."""
    defaults = {name: parameter.default for name, parameter in
                inspect.signature(flow).parameters.items()
                if name not in ("latent_size", "shapes", "seed")}
    unknown = sorted(set(settings) - set(defaults))
    if unknown:
        raise GalSimConfigError(
            f"A flow of the {what} has no setting {', '.join(unknown)}; its settings are: "
            f"{', '.join(defaults)}.")
    return {**defaults, **settings}
