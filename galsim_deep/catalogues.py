"""Input catalogues of a GalSim config file, read by the column.

GalSim asks an input catalogue for one value at a time.  With a FITS table that takes astropy 30 us;
with ``nproc`` the catalogue is in a process of its own, and a value takes three questions to it, as
long as a galaxy takes to be made.
"""

__all__ = ["near_catalogues"]

import contextlib
from multiprocessing.managers import BaseProxy

from galsim.utilities import lazy_property

MOST = 8_000_000
"""How many values of a catalogue a worker copies, 64 MB of numbers; larger ones it goes on asking.
"""

_known = []  # those of the last configuration, each with what stands for it


@contextlib.contextmanager
def near_catalogues(base):
    """Have the input catalogues of a configuration be quick to ask, for a while.

    Parameters:
        base:       The whole configuration.  It is changed in place, and back: a copy would lose
                    what GalSim keeps there while it reads.
    """
    inputs = base.get("_input_objs", {})
    catalogues = inputs.get("catalog", ())
    if not any(catalogues):
        yield
        return
    inputs["catalog"] = [_near(catalogue) for catalogue in catalogues]
    _known[:] = [*zip(catalogues, inputs["catalog"], strict=True)]
    try:
        yield
    finally:
        inputs["catalog"] = catalogues


def _near(catalogue):
    for known, near in _known:
        if known is catalogue:
            return near
    return catalogue and _NearCatalogue(catalogue)


class _NearCatalogue:
    """What stands for a `galsim.Catalog`, or a proxy of one."""

    def __init__(self, catalogue):
        self._catalogue = catalogue

    @lazy_property
    def _count(self):
        return self._catalogue.getNObjects()

    @lazy_property
    def _is_fits(self):
        return self._catalogue.isFits()

    @lazy_property
    def _columns(self):
        names = self._catalogue.names if self._is_fits else ()
        if isinstance(self._catalogue, BaseProxy) and self._count * len(names) > MOST:
            return {}
        data = _data(self._catalogue) if names else None
        return {name: data[name] for name in names}

    def get(self, index, col):
        if col in self._columns and isinstance(index, int) and 0 <= index < self._count:
            return self._columns[col][index]
        return self._catalogue.get(index, col)  # which says what is wrong

    def getFloat(self, index, col):
        return float(self.get(index, col))

    def getInt(self, index, col):
        return int(self.get(index, col))

    def getNObjects(self):
        return self._count

    def isFits(self):
        return self._is_fits

    def __getattr__(self, name):
        return getattr(self._catalogue, name)


def _data(catalogue):
    if isinstance(catalogue, BaseProxy):  # GalSim's proxies take properties for methods
        return catalogue._callmethod("__getattribute__", ("data",))
    return catalogue.data
