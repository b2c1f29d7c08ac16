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

__all__ = ["TAKEN", "BuildGenerativeModelGalaxy"]

import itertools
import math

from galsim import GalSimConfigError, GalSimConfigValueError, GalSimError, GSParams
from galsim.config import (
    GetAllParams,
    GetInputObj,
    GetRNG,
    InputLoader,
    ParseValue,
    RegisterInputType,
    RegisterObjectType,
)
from galsim.config.value import valid_value_types

from . import latents
from .catalogues import near_catalogues
from .engine import started_here
from .lookahead import Lookahead, Source, foreseen
from .model import GenerativeGalaxyModel
from .sampler import ROWS
from .table import cluster_id, in_ranges
from .threads import share_cores, threads

_OPTIONS = {"half_light_radius": float, "id": int, "x_interpolant": str, "k_interpolant": str,
            "pad_factor": float, "strict": bool}
_SHARED = ("x_interpolant", "k_interpolant", "pad_factor", "strict")

TAKEN = frozenset((
    # By GalSim, for any object of a configuration.
    "type", "current", "dilate", "dilation", "ellip", "flux", "gsparams", "half_light_radius",
    "index_key", "lens", "magnification", "magnify", "re_from_res", "repeat", "resolution",
    "rng_index_key", "rng_num", "rotate", "rotation", "scale_flux", "sed", "shear", "shift",
    "signal_to_noise", "skip",
    # By those of this package.
    "num", *_OPTIONS))
"""Names that a column should not have: beside it, a configuration gives them a meaning of their
own.  A column ``flux`` would be what the galaxy is conditioned on, and impose the flux as well."""

MOST_AHEAD = 32
"""How many galaxies are made together at most: too few for a GPU, lest bits depend on how many
processes there are.
"""


def BuildGenerativeModelGalaxy(config, base, ignore, gsparams, logger):
    """Build a galaxy of a generative model.

    A column that is optional may be left out; it is then drawn given the others.

    Fields besides the columns of the module: ``half_light_radius`` [arcsec], ``flux`` and
    everything else that GalSim applies to any ``gal``, ``num`` (which of several input models),
    ``id``: an integer that, with the columns, decides the galaxy; without it the galaxy takes its
    random numbers from the object's own generator; ``cluster``, an id or a name, of a model with
    classes; and ``x_interpolant``, ``k_interpolant``, ``pad_factor`` and ``strict``, as in
    `GenerativeGalaxyModel.sample`.

    Returns:
        (profile, False): a random object is never safe to be used again for the next stamp, not
        even when all of its parameters are constant.
    """
    model = GetInputObj("generative_model", config, base, "GenerativeModelGalaxy")
    share_cores(base.get("current_nproc"))
    optional = {column.name: column.optional for column in model.getCard().columns}
    _check_names(model.getCard())
    clusters = model.getClusters()
    cluster = _cluster_field(config, model)

    # Read for galaxies made ahead as well: other fields refer to these by their current values.
    with near_catalogues(base):
        # flux is left to GalSim, which applies it to any object type.
        fields, _ = GetAllParams(
            config, base, req={name: float for name in optional if not optional[name]},
            opt={**_OPTIONS, **{name: float for name in optional if optional[name]}},
            ignore=[*ignore, "flux", "num", *cluster])
        for name, kind in cluster.items():
            # GalSim looks at the first letter of text.
            fields[name] = ParseValue(config, name, base, kind)[0] if config[name] != "" else ""
    if not _has_class(fields, clusters):
        raise GalSimConfigValueError(
            f"The field cluster is a class of {model.getCard().name}, by id, from 0 to "
            f"{len(clusters) - 1}, or by name, or -1 for any.", fields["cluster"], clusters)
    if "id" not in fields:
        original = GetRNG(config, base, logger, "GenerativeModelGalaxy")
        # A model behind a proxy draws from a copy in another process, and would leave this
        # generator where it was: it is moved on here, for all models alike.
        rng = original.duplicate()
        latents.draw([original], model.getCard().latent.size)
        return _made(model, [fields], gsparams, rng)[0], False
    kinds = {name: kind for name, kind in
             {**dict.fromkeys(optional, float), **_OPTIONS, **cluster}.items() if name in config}

    def alone():
        return _made(model, [fields], gsparams)[0]

    def several():
        with near_catalogues(base):
            wanted = foreseen(config, base, kinds, min(ROWS[-1] * threads(), MOST_AHEAD))
        return _several(model, wanted, gsparams)

    source = Source.of(config, base, kinds, values=(gsparams or {}).items(), objects=[model])
    return _ahead.galaxy(base["obj_num"], source, alone, several), False


_ahead = Lookahead()


def _check_names(card):
    """Refuse columns whose fields would have two meanings."""
    taken = [column.name for column in card.columns if column.name in TAKEN]
    if taken:
        raise GalSimConfigError(
            f"The module {card.name} has a column {', '.join(taken)}, and so is called what a "
            "field of any galaxy imposes or decides otherwise. Such a module can be sampled in "
            "Python, not by a configuration.")


def _cluster_field(config, model):
    """The field ``cluster``, if it is there, and the type that GalSim is to read it as.

    It is a number or a name, which is no type that GalSim knows.  Text holds both; other than text
    is what is generated as numbers alone.
    """
    if "cluster" not in config or "cluster" in model.getColumns():
        return {}
    if not model.getClusters():
        raise GalSimConfigError(f"The module {model.getCard().name} has no classes, so that there "
                                "is no field cluster.")
    value = config["cluster"]
    listed = value
    if isinstance(value, dict) and value.get("type") == "List":
        listed = value.get("items")
    if isinstance(listed, list) and "" in listed:
        # GalSim looks at the first letter of each, and fails with an IndexError.
        raise GalSimConfigError(f"The field cluster, {value}, lists empty text; write '-1' for "
                                "galaxies of any class.")
    if isinstance(value, dict):
        _, kinds = valid_value_types.get(value.get("type"), (None, ()))
        return dict(cluster=next((kind for kind in (str, int, float) if kind in kinds), str))
    return dict(cluster=str if isinstance(value, (str, list)) else None)  # None: as it is


def _has_class(fields, clusters):
    """Whether there is nothing to be said of the class that a galaxy is to be of."""
    return not clusters or cluster_id(fields.get("cluster"), clusters) is not None


def _several(model, wanted, gsparams):
    """The galaxies of several objects, as far as they can be made together.

    That is as long as they have the same options, and there is nothing to be said of them: errors
    and warnings are for those that are made alone.
    """
    columns, clusters = model.getCard().columns, model.getClusters()
    wanted = list(itertools.takewhile(
        lambda fields: all(fields.get(name) == wanted[0].get(name) for name in _SHARED)
        and in_ranges(fields, columns) and _has_class(fields, clusters), wanted))
    try:
        return _made(model, wanted, gsparams) if wanted else []
    except GalSimError:
        return []


def _made(model, wanted, gsparams, rng=None):
    """The galaxies of some objects, of which the fields are given."""
    given = {name: wanted[0][name] for name in _SHARED if name in wanted[0]}
    if "half_light_radius" in wanted[0]:
        given["half_light_radius"] = [fields["half_light_radius"] for fields in wanted]
    if rng is None:
        given["seeds"] = [fields["id"] for fields in wanted]
    if gsparams:
        given["gsparams"] = GSParams(**gsparams)
    table = {name: [fields.get(name, math.nan) for fields in wanted]
             for name in model.getColumns()}
    if "cluster" in wanted[0]:
        table["cluster"] = [fields["cluster"] for fields in wanted]
    return model.sample(table, rng=rng, **given)


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
