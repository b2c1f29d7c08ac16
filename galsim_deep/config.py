"""GalSim config types, registered by ``modules: [galsim_deep]``.

Input type ``generative_model``: the module, as `GenerativeGalaxyModel`.  Object type
``GenerativeModelGalaxy``: a galaxy of it, with the columns of the module as fields::

    modules: [galsim_deep]
    input:
        generative_model: {file_name: "hub:acs_flow_vae"}
    gal:
        type: GenerativeModelGalaxy
        flux_radius: {type: Random, min: 5, max: 10}
        mag_auto: {type: Random, min: 24, max: 25}
        zphot: 0.8
"""

__all__ = ["BuildGenerativeModelGalaxy"]

import math

from galsim import GalSimConfigError, GSParams
from galsim.config import (
    GetAllParams,
    GetInputObj,
    GetRNG,
    InputLoader,
    RegisterInputType,
    RegisterObjectType,
)

from .engine import started_here
from .lookahead import Lookahead, foreseen
from .model import GenerativeGalaxyModel
from .profiles import make_profiles
from .sampler import ROWS
from .table import read_columns, read_positive
from .threads import threads

_OPTIONS = {"half_light_radius": float, "id": int, "x_interpolant": str, "k_interpolant": str,
            "pad_factor": float, "strict": bool}


def BuildGenerativeModelGalaxy(config, base, ignore, gsparams, logger):
    """Build a galaxy of a generative model.

    A column that is optional may be left out; it is then drawn given the others.

    Fields besides the columns of the module: ``half_light_radius`` [arcsec], ``flux`` and
    everything else that GalSim applies to any ``gal``, ``num`` (which of several input models),
    ``id``: an integer that, with the columns, decides the galaxy; without it the galaxy takes its
    random numbers from the object's own generator; and ``x_interpolant``, ``k_interpolant``,
    ``pad_factor`` and ``strict``, as in `GenerativeGalaxyModel.sample`.

    Returns:
        (profile, False): a random object is never safe to be used again for the next stamp, not
        even when all of its parameters are constant.
    """
    model = GetInputObj("generative_model", config, base, "GenerativeModelGalaxy")
    columns = model.getColumns()
    # flux is left to GalSim, which applies it to any object type.
    optional = [column.name for column in model.getCard().columns if column.optional]
    kwargs, _ = GetAllParams(
        config, base, req={name: float for name in columns if name not in optional},
        opt={**_OPTIONS, **dict.fromkeys(optional, float)}, ignore=[*ignore, "flux", "num"])
    galaxy = {name: kwargs.pop(name, math.nan) for name in columns}
    identity, strict = kwargs.pop("id", None), kwargs.pop("strict", False)
    card = model.getCard()
    if identity is None:
        rng = GetRNG(config, base, logger, "GenerativeModelGalaxy")
        stamp = model.images(galaxy, rng=rng, strict=strict)[0]
    else:
        read_columns(galaxy, card.columns, card.pixel_scale, strict)  # errors and warnings
        stamp = _ahead.stamp(model, galaxy, identity, base["obj_num"],
                             lambda: _upcoming(config, base, columns))
    radius = read_positive(kwargs.pop("half_light_radius", None), "half_light_radius", 1)
    return make_profiles(
        stamp[None], card.pixel_scale, half_light_radius=radius,
        gsparams=GSParams(**gsparams) if gsparams else None, **kwargs)[0], False


_ahead = Lookahead()


def _upcoming(config, base, columns):
    """The columns and the ``id`` of the objects that fill up what is made together."""
    given = [name for name in columns if name in config]
    return [({name: one.get(name, math.nan) for name in columns}, one["id"])
            for one in foreseen(config, base, dict(dict.fromkeys(given, float), id=int),
                                ROWS[-1] * threads() - 1)]


# No proxy: a model is a few strings until it samples, and workers need not wait for one another.
class _ModelLoader(InputLoader):
    def getKwargs(self, config, base, logger):
        kwargs, safe = super().getKwargs(config, base, logger)
        # Workers are forked later, from this process; GalSim would only log what they raise.
        several = any(base.get(part, {}).get("nproc", 1) != 1 for part in ("image", "output"))
        if several and started_here() and GenerativeGalaxyModel(**kwargs).needs_tensorflow():
            raise GalSimConfigError(
                f"The module {kwargs['file_name']} has no compact graph, so TensorFlow samples "
                "from it, which has been used in this process and does not survive a fork: the "
                "workers of nproc > 1 could not sample. Use nproc: 1, or run this configuration "
                "in a fresh process.")
        return kwargs, safe

RegisterInputType("generative_model", _ModelLoader(GenerativeGalaxyModel, use_proxy=False))
RegisterObjectType(
    "GenerativeModelGalaxy", BuildGenerativeModelGalaxy, input_type="generative_model")
