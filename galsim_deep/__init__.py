"""Deep generative galaxies as ordinary GalSim objects.

>>> model = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae")
>>> galaxies = model.sample(table, rng=galsim.BaseDeviate(42))

Importing this package registers the GalSim config types ``generative_model`` (input) and
``GenerativeModelGalaxy`` (object); nothing slow is imported before a galaxy is asked for.
"""

__all__ = ["GenerativeGalaxyModel", "__version__", "available_modules", "set_threads"]

from . import config as _config  # registers the config types
from ._version import __version__
from .handles import available as available_modules
from .model import GenerativeGalaxyModel
from .threads import set_threads

del _config
