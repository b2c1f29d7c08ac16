"""Canvases.  Each kind is one file here, registered by the name that recipes use."""

__all__ = ["Canvas", "choose_canvas"]

import importlib
import pkgutil

from galsim import GalSimConfigError

from ..recipe import parse
from .base import Canvas


def choose_canvas(asked, recipe):
    """The kind of canvas that a recipe asks for.

    Parameters:
        asked:      A dict with its ``kind`` and its settings.
        recipe:     The `Recipe`, for error messages.

    Returns:
        (the class, its settings, checked).
    """
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    settings = dict(asked)
    kind = settings.pop("kind", None)
    if kind not in Canvas.registry:
        raise GalSimConfigError(
            f"The recipe {recipe.path}, model.canvas, asks for the kind '{kind}'; there are: "
            f"{', '.join(sorted(Canvas.registry))}.")
    cls = Canvas.registry[kind]
    return cls, parse(cls.Settings, settings, f"recipe {recipe.path}, model.canvas,")
