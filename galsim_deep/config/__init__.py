"""GalSim config types, registered by ``modules: [galsim_deep]``.

* Input type ``generative_model``: a module, as a `galsim_deep.GenerativeGalaxyModel`.
* Object type ``GenerativeModelGalaxy``: a galaxy of it, with the columns of the module as fields.

For example::

    modules: [galsim_deep]
    input:
        generative_model: {file_name: "hub:acs_flow_vae"}
    gal:
        type: GenerativeModelGalaxy
        hlr: {type: Random, min: 0.15, max: 0.4}
        mag_auto: {type: Random, min: 24, max: 25}
        zphot: 0.8
"""

__all__ = ["RESERVED_FIELDS", "BuildGenerativeModelGalaxy", "ModelLoader"]

from .fields import RESERVED_FIELDS
from .galaxy import BuildGenerativeModelGalaxy
from .input import ModelLoader
