"""Model families.  Each is one file here, registered by the name that recipes use."""

import importlib
import pkgutil

from galsim import GalSimConfigError

from ..recipe import parse
from .base import ModelFamily


def make_family(recipe):
    """The model family a recipe names, with freshly initialised networks."""
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    if recipe.family not in ModelFamily.registry:
        raise GalSimConfigError(
            f"The recipe {recipe.path} asks for the model family '{recipe.family}'; there are: "
            f"{', '.join(sorted(ModelFamily.registry))}.")
    cls = ModelFamily.registry[recipe.family]
    if set(recipe.fit) != set(cls.phase_names):
        raise GalSimConfigError(
            f"The recipe {recipe.path}, fit, has the phases {', '.join(recipe.fit) or 'none'}; the "
            f"model family '{recipe.family}' has: {', '.join(cls.phase_names)}.")
    return cls(parse(cls.Settings, recipe.model, f"recipe {recipe.path}, model,"), recipe)
