"""The object type ``GenerativeModelGalaxy`` of GalSim config files."""

__all__ = ["BuildGenerativeModelGalaxy"]

import functools
import itertools
import math
from typing import Any

import galsim
from galsim import GalSimError
from galsim.config import GetInputObj, GetRNG, RegisterObjectType

from ..latents import keys_from_deviate
from ..model import GenerativeGalaxyModel
from ..runtime.threads import share_cores, threads
from .fields import GalaxyFields
from .lookahead import LookAhead

MAX_AHEAD = 32
"""The largest number of galaxies that are made together.

It is below the batch size from which a GPU is used, so that results do not depend on ``nproc``.
"""

# Options of a call of `GenerativeGalaxyModel.sample` that are the same for all of its rows.
_BATCH_OPTIONS = ("x_interpolant", "k_interpolant", "pad_factor", "strict")

_look_ahead = LookAhead()


def BuildGenerativeModelGalaxy(config: dict[str, Any], base: dict[str, Any], ignore: list[str],
                               gsparams: dict[str, Any], logger: Any
                               ) -> tuple[galsim.GSObject, bool]:
    """Build a galaxy of a generative model.

    Fields:

    * the columns of the module, in the units on its card.  An optional column may be left out; the
      module then draws it given the others.
    * ``id``: an integer that, with the columns, determines the galaxy.  Without it the object's
      own random number generator gives the galaxy a random key.
    * ``galaxy_class``: the class of the galaxy, by number or by name, for a module with classes.
    * ``num``: which of several input models to use, counted from 0.
    * ``half_light_radius`` [arcsec], ``x_interpolant``, ``k_interpolant``, ``pad_factor`` and
      ``strict``, as in `galsim_deep.GenerativeGalaxyModel.sample`.
    * ``flux`` and everything else that GalSim applies to any ``gal``.

    Returns:
        (profile, False): a galaxy is never used again for the next stamp, even if all of its fields
        are constant.

    Raises:
        GalSimConfigError:  A field is missing, unknown or cannot be read.
        GalSimError:        As `galsim_deep.GenerativeGalaxyModel.sample` raises.
    """
    model = GetInputObj("generative_model", config, base, "GenerativeModelGalaxy")
    share_cores(base.get("current_nproc"))
    fields = GalaxyFields(config, model.getCard())
    with _look_ahead.catalogues.in_place(base):
        # Read the fields even if the galaxy was made ahead, because other fields of the
        # configuration may refer to their current values.
        row = fields.read(base, ignore)
        if "id" in row:
            galaxy = _look_ahead.galaxy(
                config, base, fields.types, _number_ahead(),
                functools.partial(_sample_ahead, model, fields, gsparams), (model, gsparams))
            if galaxy is not None:
                return galaxy, False
    if "id" not in row:
        rng = GetRNG(config, base, logger, "GenerativeModelGalaxy")
        row["id"] = int(keys_from_deviate(rng, 1)[0])
    return _sample(model, [row], gsparams)[0], False


def _number_ahead() -> int:
    """How many galaxies are made together: as many as the threads run at once."""
    from ..modules.runners.litert import ROWS  # imported here, so that `import galsim_deep` is fast

    return min(ROWS[-1] * threads(), MAX_AHEAD)


def _sample(model: GenerativeGalaxyModel, rows: list[dict[str, Any]], gsparams: dict[str, Any]
            ) -> list[galsim.GSObject]:
    """Sample galaxies together: the fields of each, with equal `_BATCH_OPTIONS`."""
    options = {name: rows[0][name] for name in _BATCH_OPTIONS if name in rows[0]}
    if "half_light_radius" in rows[0]:
        options["half_light_radius"] = [row["half_light_radius"] for row in rows]
    if gsparams:
        options["gsparams"] = galsim.GSParams(**gsparams)
    table = {name: [row.get(name, math.nan) for row in rows] for name in model.getColumns()}
    if "galaxy_class" in rows[0]:
        table["galaxy_class"] = [row["galaxy_class"] for row in rows]
    return model.sample(table, seeds=[row["id"] for row in rows], **options)


def _sample_ahead(model: GenerativeGalaxyModel, fields: GalaxyFields, gsparams: dict[str, Any],
                  rows: list[dict[str, Any]]) -> list[galsim.GSObject]:
    """Sample as many of the first galaxies as can be made together, without errors or warnings.

    An error or a warning belongs to its own object; a galaxy that causes one is made when GalSim
    asks for it.
    """
    rows = list(itertools.takewhile(
        lambda row: fields.is_valid(row)
        and all(row.get(name) == rows[0].get(name) for name in _BATCH_OPTIONS), rows))
    try:
        return _sample(model, rows, gsparams) if rows else []
    except GalSimError:
        return []


RegisterObjectType(
    "GenerativeModelGalaxy", BuildGenerativeModelGalaxy, input_type="generative_model")
