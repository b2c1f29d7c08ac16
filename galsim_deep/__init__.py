"""Deep generative galaxies as ordinary GalSim objects.

>>> import galsim, galsim_deep
>>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
>>> table = dict(hlr=[0.2, 0.3], mag_auto=[23.0, 22.0], zphot=[0.7, 0.4])
>>> galaxies = model.sample(table, rng=galsim.BaseDeviate(42))

Importing this package registers the GalSim config types ``generative_model`` (input) and
``GenerativeModelGalaxy`` (object).  Slow packages are imported only when a model is opened.
"""

__all__ = ["GenerativeGalaxyModel", "__version__", "available_modules", "set_threads"]

from typing import TYPE_CHECKING, Any

from . import config as _config  # registers the config types
from ._version import __version__
from .model import GenerativeGalaxyModel
from .runtime.threads import set_threads

if TYPE_CHECKING:
    from .modules.resolve import available as available_modules

del _config


def __getattr__(name: str) -> Any:
    # Imported on first use: what finds and downloads modules is a third of the import time.
    if name == "available_modules":
        from .modules.resolve import available

        return available
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
