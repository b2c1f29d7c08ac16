"""Autoencoders of the Flow-VAE.  Each is one file here, registered by the name of recipes."""

import importlib
import pkgutil

from galsim import GalSimConfigError

from ..recipe import parse
from .base import Autoencoder


def make_autoencoder(kind, settings, recipe, context):
    """The autoencoder a recipe names, with freshly initialised networks.

    Parameters:
        kind:       The name in the recipe.
        settings:   A dict, checked against the ``Settings`` of that class.
        recipe:     The `Recipe`.
        context:    The `Context` that standardises the columns.
    """
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    if kind not in Autoencoder.registry:
        raise GalSimConfigError(
            f"The recipe {recipe.path}, model.autoencoder, asks for '{kind}'; there are: "
            f"{', '.join(sorted(Autoencoder.registry))}.")
    cls = Autoencoder.registry[kind]
    where = f"recipe {recipe.path}, model.autoencoder,"
    return cls(parse(cls.Settings, settings, where), recipe, context)
