"""All of the config types that depends on how GalSim is made inside, not on what it documents.

* GalSim keeps the objects of the input section under ``_input_objs`` in a configuration: a dict of
  their types, each with a list of objects, None for those that are not made yet.
* With several processes, an object of the input section is in a process of its own, and the list
  has a proxy of it, made by `multiprocessing.managers`.  GalSim's proxies have the methods of the
  object; a property is read by calling ``__getattribute__``, which they also have.

The tests of this file were run with the GalSim versions in `TRIED_WITH`.
"""

__all__ = ["TRIED_WITH", "catalogue_data", "input_catalogues", "is_elsewhere",
           "replaced_catalogues"]

import contextlib
from collections.abc import Iterator, Sequence
from multiprocessing.managers import BaseProxy
from typing import Any

import galsim

from ..profiles._galsim_internals import TRIED_WITH


def input_catalogues(base: dict[str, Any]) -> Sequence[galsim.Catalog | None]:
    """The input catalogues of a configuration; None for those that GalSim has not read yet.

    Parameters:
        base:       The whole configuration.
    """
    return base.get("_input_objs", {}).get("catalog", ())


@contextlib.contextmanager
def replaced_catalogues(base: dict[str, Any], catalogues: Sequence[Any]) -> Iterator[None]:
    """Put other objects in place of the input catalogues, and put these back at the end.

    Parameters:
        base:           The whole configuration, which has input catalogues.
        catalogues:     As many objects with the methods of a `galsim.Catalog`.
    """
    inputs = base["_input_objs"]
    originals = inputs["catalog"]
    inputs["catalog"] = list(catalogues)
    try:
        yield
    finally:
        inputs["catalog"] = originals


def is_elsewhere(catalogue: galsim.Catalog) -> bool:
    """Whether a catalogue is in another process, and this object is a proxy of it."""
    return isinstance(catalogue, BaseProxy)


def catalogue_data(catalogue: galsim.Catalog) -> Any:
    """The attribute ``data`` of a catalogue, also of one in another process, from which it is sent.
    """
    if isinstance(catalogue, BaseProxy):
        return catalogue._callmethod("__getattribute__", ("data",))
    return catalogue.data
