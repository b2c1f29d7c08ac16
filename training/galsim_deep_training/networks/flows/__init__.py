"""Conditional normalizing flows on the latent (Lanusse et al. 2021, section 3.3).

Each kind is one file here; recipes name it by its entry in `FLOWS`.
"""

__all__ = ["FLOWS", "CouplingFlow", "FlowChoice", "MAF", "MapFlow", "MapFlowSettings",
           "SplineFlow", "all_flow_settings", "all_map_flow_settings", "make_flow",
           "make_map_flow"]

import functools
import inspect
from typing import Annotated, Any

import pydantic
from galsim import GalSimConfigError

from ...recipe import Settings, parse
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


def all_flow_settings(kind=None, **settings):
    """The settings of `make_flow` with all defaults, a dict: what checkpoints belong to."""
    cls = _kind(kind)
    return dict(_filled_in(cls, f"kind '{kind}'", settings), kind=kind, format=cls.format)


def all_map_flow_settings(**settings):
    """The settings of `make_map_flow` likewise."""
    return dict(_filled_in(MapFlow, "maps of details", settings), format=MapFlow.format)


def _checked_flow(choice):
    all_flow_settings(**choice)
    return choice


def _checked_map_flow(settings):
    all_map_flow_settings(**settings)
    return settings


FlowChoice = Annotated[dict[str, Any], pydantic.AfterValidator(_checked_flow)]
"""The ``kind`` and the settings of a flow in a recipe, as `make_flow` takes them."""
MapFlowSettings = Annotated[dict[str, Any], pydantic.AfterValidator(_checked_map_flow)]
"""The settings of a flow of maps in a recipe, as `make_map_flow` takes them."""


def _kind(kind):
    if not isinstance(kind, str) or kind not in FLOWS:
        raise GalSimConfigError(
            f"There is no kind of flow '{kind}'; there are: {', '.join(sorted(FLOWS))}.")
    return FLOWS[kind]


def _filled_in(flow, what, settings):
    """The settings of a class of flows, checked and with its defaults."""
    model = _settings_of(flow)
    unknown = sorted(set(settings) - set(model.model_fields))
    if unknown:
        raise GalSimConfigError(
            f"A flow of the {what} has no setting {', '.join(unknown)}; its settings are: "
            f"{', '.join(model.model_fields)}.")
    return parse(model, settings, f"choice of a flow of the {what}").model_dump()


@functools.cache
def _settings_of(flow):
    """A `recipe.Settings` with what the constructor of a class of flows takes."""
    fields = {name: (parameter.annotation, parameter.default) for name, parameter in
              inspect.signature(flow).parameters.items()
              if name not in ("latent_size", "shapes", "seed")}
    return pydantic.create_model(f"{flow.__name__}Settings", __base__=Settings, **fields)
