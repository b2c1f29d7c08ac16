"""Input catalogues of a GalSim config file, read by the column.

GalSim asks an input catalogue for one value at a time.  With a FITS table that takes astropy 30 us;
with ``nproc`` the catalogue is in a process of its own, and a value takes three questions to it, as
long as a galaxy takes to be made.
"""

__all__ = ["near_catalogues"]

from multiprocessing.managers import BaseProxy

MOST = 8_000_000
"""How many values of a catalogue a worker copies, 64 MB; larger ones it goes on asking."""

KEPT = 4
_known = []  # the last ones, each with what stands for it


def near_catalogues(base):
    """A configuration whose input catalogues are quick to ask.

    Parameters:
        base:       The whole configuration, which stays as it is.

    Returns:
        another dict with the same entries but for the catalogues, which give the same values.
    """
    inputs = base.get("_input_objs", {})
    if "catalog" not in inputs:
        return base
    near = [catalogue and _near(catalogue) for catalogue in inputs["catalog"]]
    return dict(base, _input_objs=dict(inputs, catalog=near))


def _near(catalogue):
    for known, near in _known:
        if known is catalogue:
            return near
    near = _NearCatalogue(catalogue)
    _known[:] = [*_known, (catalogue, near)][-KEPT:]
    return near


class _NearCatalogue:
    """What stands for a `galsim.Catalog`, or a proxy of one."""

    def __init__(self, catalogue):
        self._catalogue, self._columns = catalogue, {}
        self._count, self._is_fits = catalogue.getNObjects(), catalogue.isFits()
        if self._is_fits and (not isinstance(catalogue, BaseProxy)
                              or self._count * len(catalogue.names) <= MOST):
            data = _data(catalogue)
            self._columns = {name: data[name] for name in catalogue.names}

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
