"""Galaxies of a GalSim config file that are made before GalSim asks for them.

GalSim asks for one object at a time, but a network makes several in less time than one by one.  If
an object has an ``id``, and its fields are constants, columns of an input catalogue or sequences,
then the next objects are known as well, and can be made together with it.
"""

__all__ = ["LookAhead"]

from collections.abc import Callable, Mapping
from typing import Any

import galsim
from galsim.config import ParseValue

from ._galsim_internals import input_catalogues
from .catalogues import FastCatalogues

MIN_RUN = 2
"""Number of consecutive objects after which look-ahead starts.

With ``image.nproc``, GalSim sends objects to workers one at a time, so that the next object may go
to another worker, and a galaxy made ahead for it would never be used.
"""

Row = dict[str, Any]
"""The values of the fields of one object."""


class LookAhead:
    """Makes galaxies ahead, and keeps them until GalSim asks for them.

    Each process has one.  It keeps the number of the last object, the galaxies that it made ahead,
    and the input catalogues from which their fields are read.

    Attributes:
        catalogues:     A `FastCatalogues`, for reading the fields of this and of the next objects.

    Example:

        >>> def sample(rows):
        ...     print("made together:", [row["sigma"] for row in rows])
        ...     return [galsim.Gaussian(sigma=row["sigma"]) for row in rows]
        >>> ahead, fields = LookAhead(), dict(sigma=dict(type="Sequence", first=1))
        >>> for number in range(5):
        ...     base = dict(obj_num=number, index_key="obj_num")
        ...     galaxy = ahead.galaxy(fields, base, dict(sigma=float), 3, sample, ())
        ...     print(number, galaxy)
        0 None
        1 None
        made together: [3.0, 4.0, 5.0]
        2 galsim.Gaussian(sigma=3.0)
        3 galsim.Gaussian(sigma=4.0)
        4 galsim.Gaussian(sigma=5.0)
    """

    def __init__(self) -> None:
        self.catalogues = FastCatalogues()
        self._series: tuple | None = None  # what the galaxies depend on besides their numbers
        self._galaxies: dict[int, galsim.GSObject] = {}
        self._last = -1
        self._run = 0

    def galaxy(self, config: Row, base: Row, types: Mapping[str, type | None], count: int,
               sample: Callable[[list[Row]], list[galsim.GSObject]],
               depends_on: tuple) -> galsim.GSObject | None:
        """The galaxy of the current object, if it was made ahead or can be made with the next ones.

        Parameters:
            config:     The fields of the object.
            base:       The whole configuration.
            types:      The fields that determine the galaxy: {name: type}.
            count:      How many galaxies to make together.
            sample:     A function that makes galaxies from their values.  It may make the first of
                        them only, or none.
            depends_on: Everything else that determines the galaxies; compared by ``==``.

        Returns:
            the galaxy; None if it has to be made separately.
        """
        number, series = base.get("obj_num", 0), self._series_of(config, base, types, depends_on)
        if series is None or series != self._series:
            self._series, self._galaxies, self._run = series, {}, 0
        else:
            self._run = self._run + 1 if number == self._last + 1 else 0
        self._last = number
        if number not in self._galaxies:
            rows = _read_ahead(config, base, types, count) if self._run >= MIN_RUN else []
            self._galaxies = dict(enumerate(sample(rows), number)) if rows else {}
        return self._galaxies.pop(number, None)

    @staticmethod
    def _series_of(config: Row, base: Row, types: Mapping[str, type | None],
                   depends_on: tuple) -> tuple | None:
        """Everything that the galaxies of consecutive objects share.

        These are the fields, the catalogues and the numbers of file and image.  Returns None
        if the fields cannot be predicted from the object number.
        """
        fields = {name: _without_parser_entries(config[name]) for name in types}
        if not (_counts_objects(base) and all(map(_is_predictable, fields.values()))):
            return None
        # Catalogues are equal only if they are the same.
        catalogues = tuple(input_catalogues(base))
        # Sequences begin anew in each file.
        numbers = [base.get(name, 0) for name in ("file_num", "image_num", "start_obj_num")]
        return fields, catalogues, numbers, depends_on


def _read_ahead(config: Row, base: Row, types: Mapping[str, type | None], count: int) -> list[Row]:
    """The values of predictable fields for the current object and the next ones.

    The list is shorter than ``count`` if the values of an object cannot be read.  GalSim raises
    the error later, when it builds that object.
    """
    fields, rows = {name: _without_parser_entries(config[name]) for name in types}, []
    first = base.get("obj_num", 0)
    for number in range(first, first + count):
        try:
            rows.append({name: ParseValue(fields, name, dict(base, obj_num=number), kind)[0]
                         for name, kind in types.items()})
        except Exception:
            break
    return rows


def _is_predictable(field: Any) -> bool:
    """Whether the value of a field depends only on the number of the object.

    Parameters:
        field:      The field, as `_without_parser_entries` returns it.
    """
    if isinstance(field, dict):
        # A field that is repeated, other than a sequence, takes the value that GalSim read last.
        return ((field.get("type") == "Sequence"
                 or field.get("type") == "Catalog" and "repeat" not in field)
                and _counts_objects(field) and all(map(_is_predictable, field.values())))
    if isinstance(field, str):
        return not field.startswith(("$", "@"))
    return isinstance(field, bool | int | float)


def _counts_objects(field: Row) -> bool:
    return field.get("index_key", "obj_num") == "obj_num"


def _without_parser_entries(field: Any) -> Any:
    """A copy of a field without the entries that GalSim adds while it parses.

    These are ``current`` and names that begin with ``_``.
    """
    if isinstance(field, dict):
        return {name: _without_parser_entries(value) for name, value in field.items()
                if name != "current" and not name.startswith("_")}
    return field
