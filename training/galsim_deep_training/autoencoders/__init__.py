"""Autoencoders of the Flow-VAE.  Each is one file here, registered by the name of recipes."""

import importlib
import pkgutil

from galsim import GalSimConfigError

from ..recipe import parse
from .base import Autoencoder


def choose_autoencoder(chosen, recipe):
    """The autoencoder a recipe names, and its settings.

    Parameters:
        chosen:     ``model.autoencoder`` of the recipe, a dict: ``kind`` and settings.
        recipe:     The `Recipe`.

    Returns:
        (a subclass of `Autoencoder`, its ``Settings``).

    Raises a `galsim.GalSimConfigError` where there is no such autoencoder or setting.
    """
    for found in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{found.name}")
    settings = dict(chosen)
    kind = settings.pop("kind", None)
    if kind not in Autoencoder.registry:
        raise GalSimConfigError(
            f"The recipe {recipe.path}, model.autoencoder, asks for '{kind}'; there are: "
            f"{', '.join(sorted(Autoencoder.registry))}.")
    cls = Autoencoder.registry[kind]
    return cls, parse(cls.Settings, settings, f"recipe {recipe.path}, model.autoencoder,")
