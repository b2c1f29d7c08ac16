"""Galaxies of a GalSim config file that are going to be asked for, made together with one that is.

GalSim asks for one object at a time, and a network makes several in less time than one by one.
Where an object has an ``id`` and its columns do not consume random numbers (constants, columns of
an input catalogue, sequences), it is known beforehand what the next ones will be like.  An object
gets a stamp that was made ahead only if ``id`` and columns turn out to be exactly those, so that
nothing but time depends on what was foreseen.
"""

__all__ = ["Lookahead", "foreseen"]

import warnings

from galsim import GalSimError
from galsim.config import CopyConfig, ParseValue

PREDICTABLE = ("Catalog", "Sequence")
"""Types of values that depend on the number of the object alone, if all of their fields do."""


class Lookahead:
    """The stamps made ahead, of one model."""

    def __init__(self):
        self._model, self._stamps, self._last = None, {}, None

    def stamp(self, model, columns, identity, number, upcoming):
        """The stamp of one galaxy, shape [S, S].

        Parameters:
            model:      A `GenerativeGalaxyModel`, or GalSim's proxy of one.
            columns:    Its columns: {name: number}, all in the order of the model.
            identity:   Its ``id``.
            number:     The number of the object.  Nothing is made ahead unless the one before was
                        asked for here too: GalSim deals objects to its workers one by one, and the
                        next ones may be another's.
            upcoming:   A function without arguments: the columns and ``id`` of those that come
                        next, a list of pairs; called only if there is something to make.
        """
        if model is not self._model:
            self._model, self._stamps = model, {}
        key = _key(columns, identity)
        one_by_one, self._last = number - 1 == self._last, number
        if key not in self._stamps:
            self._stamps = self._made([(columns, identity), *(upcoming() if one_by_one else [])])
        return self._stamps.pop(key)

    def _made(self, wanted):
        table = {name: [columns[name] for columns, _ in wanted] for name in wanted[0][0]}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # each warns when its turn has come
                stamps = self._model.images(table, seeds=[identity for _, identity in wanted])
        except GalSimError:
            if len(wanted) == 1:
                raise
            return self._made(wanted[:1])  # the fault may be that of one that comes later
        return {_key(*one): stamp for one, stamp in zip(wanted, stamps, strict=True)}


def _key(columns, identity):
    # Text, since NaN does not equal itself.
    return identity, *(float(value).hex() for value in columns.values())


def foreseen(config, base, kinds, count):
    """The values that fields of the next objects will have.

    Parameters:
        config:     The fields of the object type.
        base:       The whole configuration.
        kinds:      The fields that are wanted, with their types: {name: type}.
        count:      Of how many objects.

    Returns:
        a list of dicts, {name: value}; empty if some field is not known beforehand.
    """
    if base.get("index_key", "obj_num") != "obj_num" or not all(
            _predictable(config[name]) for name in kinds):
        return []
    last = base.get("start_obj_num", 0) + base.get("nobjects", float("inf"))
    found = []
    for number in range(base["obj_num"] + 1, base["obj_num"] + 1 + count):
        if number >= last:
            break
        # A copy, since values are remembered where they are parsed.
        fields = CopyConfig({name: config[name] for name in kinds})
        try:
            found.append({name: ParseValue(fields, name, dict(base, obj_num=number), kind)[0]
                          for name, kind in kinds.items()})
        except Exception:  # whatever it is, it is for that object to say
            break
    return found


def _predictable(value):
    if isinstance(value, dict):
        return value.get("type") in PREDICTABLE and all(
            _predictable(one) for name, one in value.items()
            if name not in ("type", "current") and not name.startswith("_"))  # GalSim's own notes
    return isinstance(value, (bool, int, float)) or (
        isinstance(value, str) and not value.startswith(("$", "@")))
