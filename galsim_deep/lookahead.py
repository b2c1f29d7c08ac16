"""Galaxies of a GalSim config file that are going to be asked for, made together with one that is.

GalSim asks for one object at a time, and a network makes several in less time than one by one.
Where an object has an ``id`` and no field that consumes random numbers (constants, columns of an
input catalogue, sequences), it is known beforehand what the next ones will be like.
"""

__all__ = ["Lookahead", "Source", "foreseen"]

import operator
from typing import NamedTuple

from galsim.config import ParseValue

RUN = 2
"""How many objects in a row make it likely that the next ones will be asked for here as well."""

_PREDICTABLE = ("Catalog", "Sequence")
# What sequences count from begins anew in each file.
_NUMBERS = ("file_num", "image_num", "start_obj_num")


class Source(NamedTuple):
    """All that predictable objects depend on, besides their own number."""

    values: tuple
    objects: tuple

    @classmethod
    def of(cls, config, base, names, values=(), objects=()):
        """That of the fields ``names``, or None if they are not predictable.

        Parameters:
            config:     The fields of the object type.
            base:       The whole configuration.
            names:      The fields that matter.
            values:     What else matters and can be compared.
            objects:    What else matters and is never changed.
        """
        if not _counts_objects(base) or not all(_predictable(config[name]) for name in names):
            return None
        catalogues = base.get("_input_objs", {}).get("catalog", ())
        numbers = [base.get(name, 0) for name in _NUMBERS]
        return cls((*numbers, *values, *((name, _plain(config[name])) for name in names)),
                   (*catalogues, *objects))

    def same(self, other):
        """Whether another is the same; of objects, whether they are the very same."""
        return (other is not None and self.values == other.values
                and len(self.objects) == len(other.objects)
                and all(map(operator.is_, self.objects, other.objects)))


class Lookahead:
    """The galaxies made ahead, of one source."""

    def __init__(self):
        self._source, self._made = None, {}
        self._last, self._run = None, 0

    def galaxy(self, number, source, alone, several):
        """One galaxy.

        Parameters:
            number:     The number of the object.  Nothing is made ahead unless those before were
                        asked for here too: GalSim deals objects to its workers one by one, and the
                        next ones may be another's.
            source:     A `Source`, or None if nothing is known of the next ones.
            alone:      A function that makes the galaxy asked for.
            several:    A function that makes it and those that come next: a list, empty if that is
                        not possible.
        """
        known = source is not None and source.same(self._source)
        if not known:
            self._source, self._made = source, {}
        self._run = self._run + 1 if known and number - 1 == self._last else 0
        self._last = number
        if number not in self._made:
            self._made = dict(enumerate(several(), number)) if self._run >= RUN else {}
        return self._made.pop(number) if number in self._made else alone()


def foreseen(config, base, kinds, count):
    """The values that predictable fields have for an object and the next ones.

    Parameters:
        config:     The fields of the object type.
        base:       The whole configuration.
        kinds:      The fields that are wanted, with their types: {name: type}.
        count:      Of how many objects.

    Returns:
        a list of dicts, {name: value}; shorter where one cannot be read.
    """
    # Copies, since GalSim takes notes where it reads.
    fields, found = {name: _fresh(config[name]) for name in kinds}, []
    for number in range(base["obj_num"], base["obj_num"] + count):
        try:
            found.append({name: ParseValue(fields, name, dict(base, obj_num=number), kind)[0]
                          for name, kind in kinds.items()})
        except Exception:  # whatever it is, it is for that object to say
            break
    return found


def _predictable(value):
    """Whether a field depends on the number of the object alone."""
    if isinstance(value, dict):
        # GalSim goes by what it read last where something other than a sequence is repeated.
        kind = value.get("type")
        return (kind in _PREDICTABLE and (kind == "Sequence" or "repeat" not in value)
                and _counts_objects(value)
                and all(map(_predictable, _items(value).values())))
    return isinstance(value, (bool, int, float)) or (
        isinstance(value, str) and not value.startswith(("$", "@")))


def _counts_objects(value):
    return value.get("index_key", "obj_num") == "obj_num"


def _items(value):
    """The items of a field, without those that GalSim notes there."""
    return {name: one for name, one in value.items()
            if name != "current" and not name.startswith("_")}


def _fresh(value):
    """A copy of a field as it was before GalSim took notes there."""
    if isinstance(value, dict):
        return {name: _fresh(one) for name, one in _items(value).items()}
    return value


def _plain(value):
    """A field as something that changes if and only if the field does."""
    if isinstance(value, dict):
        return tuple((name, _plain(one)) for name, one in _items(value).items())
    return value
