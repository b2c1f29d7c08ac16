"""From whatever holds named columns to checked arrays of numbers.

A table is an astropy ``Table``, ``QTable`` or ``Row``, a numpy structured array or record, a dict
of arrays, lists, single values or ``Quantity`` objects, a pandas ``DataFrame``, or a
`galsim.Catalog` read from FITS. Units are converted where a table states them. Everything that
cannot be used is refused here, by column, row and value, before anything slow is started.
"""

__all__ = ["cluster_id", "in_ranges", "read_clusters", "read_columns", "read_positive",
           "read_seeds"]

import difflib
import functools
from collections.abc import Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.io.fits import FITS_rec
from astropy.table import Row, Table
from galsim.catalog import Catalog
from galsim.errors import (
    GalSimIncompatibleValuesError,
    GalSimKeyError,
    GalSimRangeError,
    GalSimValueError,
    galsim_warn,
)

_KINDS = ("astropy Table, QTable or Row", "numpy structured array or record", "dict of columns",
          "pandas DataFrame", "galsim.Catalog of a FITS file")
_MAGNITUDES = (u.mag, u.ABmag)  # the same number, but astropy does not convert between the two


def read_columns(table, columns, pixel_scale=None, strict=False, clusters=()):
    """Read the columns of a module from a table.

    Single values are repeated to the length of the other columns read; a table of single values
    is one row. Further columns of the table are ignored.

    Parameters:
        table:          Any table (see above) with N rows.
        columns:        The columns wanted: objects with ``name``, ``unit``, ``meaning``,
                        ``valid_range`` = (low, high), ``optional`` and ``above``, as on a module's
                        card. In an optional column, values may be missing: NaN, None or masked.
        pixel_scale:    Size of a pixel [arcsec], with which angles and pixels are converted into
                        each other. [default: None]
        strict:         Whether values outside of ``valid_range`` are an error rather than a
                        warning. [default: False]
        clusters:       The names of the module's classes. If there are any, a column ``cluster``
                        is read as well where the table has one. [default: ()]

    Returns:
        a dict from each name, in the order of ``columns``, to a new float32 array [N] in the
        unit of that column; NaN for what is missing. From ``cluster``, if that was read, to an
        array of ids as `read_clusters` gives it.

    Raises:
        GalSimKeyError:                 a column is missing.
        GalSimValueError:               a kind of table, a unit or a value that cannot be used.
        GalSimIncompatibleValuesError:  columns of different lengths.
        GalSimRangeError:               a value out of range, if ``strict``.
    """
    given = _take(table, [column.name for column in columns], ["cluster"] if clusters else [])
    arrays = {c.name: _read(given[c.name], c.unit, np.float32, pixel_scale, c.optional)
              for c in columns}
    for column in columns:
        if column.above is not None:
            # Such as -1 or -99 for what was not measured.
            _refuse(given[column.name], arrays[column.name] <= np.float32(column.above),
                    f"a number above {column.above:g}"
                    + (", or NaN to have it drawn," if column.optional else ""))
    if clusters and "cluster" in given:
        arrays["cluster"] = _ids(given["cluster"], clusters)
    lengths = {name: array.size for name, array in arrays.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        raise GalSimIncompatibleValuesError(
            "The columns of a table must be equally long (or single values). Lengths:", lengths)
    length = next(iter(lengths.values()), 1)
    arrays = {name: _repeat(array, length) for name, array in arrays.items()}
    for column in columns:
        _check_range(column, arrays[column.name], strict)
    return arrays


def in_ranges(row, columns):
    """Whether there is nothing to be said of a row: all of its numbers are in their valid ranges.

    Parameters:
        row:        A dict of numbers by name; optional columns may be missing or NaN.
        columns:    As `read_columns` takes them.
    """
    for column in columns:
        value, (low, high) = row.get(column.name, np.nan), column.valid_range
        missing = column.optional and value != value
        if not (missing or np.float32(low) <= np.float32(value) <= np.float32(high)):
            return False
    return True


def read_clusters(values, clusters, length):
    """Read the classes that N galaxies are to be of.

    Parameters:
        values:     One value, or N: ids or names of classes, or what leaves the class to be drawn,
                    which is -1, NaN, None, masked or empty text.
        clusters:   The names of the classes, in the order of their ids.
        length:     The number of rows, N.

    Returns:
        a new int32 array [N] of ids, -1 where the class is to be drawn.

    Raises:
        GalSimValueError:   a wrong length, or a value that is no class.
    """
    given = _unwrap(values, "Argument 'cluster'")
    ids = _ids(given, clusters)
    if ids.ndim:
        _check_length(given, length)
    return _repeat(ids, length)


def cluster_id(value, clusters):
    """The id of one class, as `read_clusters` reads it; None for what is no class."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        value = value.strip()  # as files are read, there may be blanks around a name
        if value in clusters:
            return clusters.index(value)
        if value.lower() in ("", "nan"):
            return -1
    if _is_missing(value):
        return -1
    number = _number(value)
    return int(number) if number in range(-1, len(clusters)) else None


def read_positive(values, name, length, unit=None):
    """Read an argument that is one positive number, or one for each row.

    Parameters:
        values:     A number, N numbers, or None. They may carry a unit.
        name:       What the argument is called, for messages.
        length:     The number of rows, N.
        unit:       The unit wanted, and assumed if ``values`` carry none. [default: None, which
                    means dimensionless]

    Returns:
        a new float64 array [N], or None if ``values`` is None.

    Raises:
        GalSimValueError:   a wrong length or unit, or a value that is not finite and positive.
    """
    if values is None:
        return None
    given = _unwrap(values, f"Argument {name!r}")
    numbers = _read(given, unit or "", np.float64)
    _refuse(given, numbers <= 0., "a positive number")
    if numbers.ndim:
        _check_length(given, length)
    return _repeat(numbers, length)


def read_seeds(seeds, length):
    """Read the seeds of N galaxies.

    Floats are accepted as long as they count in ones (up to 2**53 for float64): beyond that,
    different identifiers may already have become the same number.

    Parameters:
        seeds:      N integers from -2**63 to 2**64 - 1; a single one is accepted if N = 1.
        length:     The number of rows, N.

    Returns:
        a list of N Python ints.

    Raises:
        GalSimValueError:   a wrong length, or a value that is not such an integer.
    """
    given = _unwrap(seeds, "Argument 'seeds'")
    _check_length(given, length)
    # Python's ints are quicker to look at than numpy's, but floats must keep their precision.
    values = given.array.ravel().tolist() if given.array.dtype.kind in "iu" else given.array.flat
    found = [_seed(value) for value in values]
    bad = np.array([seed is None for seed in found], dtype=bool) | given.mask
    _refuse(given, bad, "an exact integer of at most 64 bits")
    return found


class _Given(NamedTuple):
    """What a user gave: its name in messages, values [N] or [], which are masked, and unit."""
    label: str
    array: np.ndarray
    mask: np.ndarray
    unit: object


def _take(table, wanted, welcome=()):
    """Find the kind of a table, and take a `_Given` of each wanted name out of it.

    Names that are welcome are taken where they are there; those that differ from one by their case
    are warned of.
    """
    if isinstance(table, Catalog):
        if not table.isFits():
            raise GalSimValueError(
                "The columns of an ASCII catalog have no names. Give a dict that names them, "
                "e.g. {'mag_auto': catalog.data[:, 0]}.", table)
        table = table.data
    if isinstance(table, Row):
        table = table.table[table.index:table.index + 1]  # the values in a Row lack their units
    units = {}
    if isinstance(table, Table):
        names = table.colnames
    elif isinstance(table, np.ndarray | np.void) and table.dtype.names is not None:
        names = table.dtype.names
        if isinstance(table, FITS_rec):
            units = {column.name: column.unit or None for column in table.columns}
    elif isinstance(table, Mapping) or (hasattr(table, "iloc") and hasattr(table, "columns")):
        names = list(table.keys())  # of a DataFrame: its columns
    else:
        raise GalSimValueError("This kind of table is not understood. Use one of these.",
                               type(table).__name__, _KINDS)
    _check_names(wanted, names)
    for name in welcome:
        alike = [one for one in names if str(one).lower() == name and one != name]
        if alike and name not in names:
            galsim_warn(f"The table has a column {alike[0]!r}, which is not read. If {name!r} is "
                        "meant, rename it.")
    return {name: _unwrap(table[name], f"Column {name!r}", units.get(name))
            for name in [*wanted, *(name for name in welcome if name in names)]}


def _check_names(wanted, names):
    missing = [name for name in wanted if name not in names]
    if not missing:
        return
    lowered = {str(name).lower(): name for name in names}
    near = {name: difflib.get_close_matches(name.lower(), lowered, n=1) for name in missing}
    hints = [f" Is {lowered[found[0]]!r} meant for {name!r}? Then rename it."
             for name, found in near.items() if found]
    raise GalSimKeyError(
        f"The table has no column {', '.join(map(repr, missing))}; its columns are "
        f"[{', '.join(map(repr, names))}].{''.join(hints)}", missing[0])


def _unwrap(values, label, unit=None):
    """Take the values, mask and unit of a column apart."""
    mask = getattr(values, "mask", False) if isinstance(values, np.ndarray) else False
    if isinstance(values, list | tuple | range):
        # Keep every item as it is: numpy would make 1. of the True in [True, 2.].
        array = np.fromiter(values, dtype=object, count=len(values))
    elif hasattr(values, "to_numpy"):  # pandas, where .unit would look for a row of that name
        array = values.to_numpy()
    else:
        array = np.asarray(values)
        unit = getattr(values, "unit", None) or unit
    if array.ndim > 1:
        if len(array) > 0:
            raise GalSimValueError(f"{label} has {array[0].size} values per row instead of one. "
                                   "Row 0 holds", array[0])
        array, mask = array.ravel(), False
    return _Given(label, array, np.broadcast_to(mask, array.shape), unit)


def _read(given, unit, dtype, pixel_scale=None, optional=False):
    """Convert to finite numbers in the given unit, or say which rows prevent it.

    Where ``optional``, values that are missing become NaN.
    """
    with np.errstate(all="ignore"):  # what overflows is refused as not finite
        numbers = _convert(given, _numbers(given), _unit(unit), pixel_scale).astype(dtype)
    bad = ~np.isfinite(numbers)
    if optional:
        bad &= ~_missing(given)
    _refuse(given, bad, f"a finite {np.dtype(dtype).name} number")
    return numbers


def _missing(given):
    """Which values are not there on purpose, rather than something that is no number."""
    array = given.array
    if array.dtype.kind == "f":
        empty = np.isnan(array)
    elif array.dtype.kind == "O":
        empty = np.fromiter(map(_is_missing, array.flat), bool, array.size).reshape(array.shape)
    else:
        empty = np.zeros(array.shape, bool)
    return empty | given.mask


def _is_missing(value):
    return (value is None or value is np.ma.masked or (isinstance(value, Real) and value != value)
            or type(value).__name__ == "NAType")  # that of pandas


def _numbers(given):
    """The values as a new float64 array, with NaN for all that is not a real number."""
    array = given.array
    if array.dtype.kind in "iuf":
        numbers = array.astype(np.float64)
    elif array.dtype.kind in "OSUT":
        numbers = np.fromiter(map(_number, array.flat), np.float64, array.size)
    else:  # bool, complex, dates, records
        numbers = np.full(array.shape, np.nan)
    return np.where(given.mask, np.nan, numbers.reshape(array.shape))


def _number(value):
    if isinstance(value, Real | Decimal | str | bytes) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    return np.nan


@functools.lru_cache(maxsize=64)
def _unit(unit):
    # The redshift unit counts as no unit. Only astropy.cosmology, which is slow, can parse it.
    return u.Unit("" if str(unit) == "redshift" else unit, parse_strict="silent")


def _convert(given, numbers, wanted, pixel_scale):
    unit = wanted if given.unit is None else _unit(given.unit)
    if unit == wanted or (unit in _MAGNITUDES and wanted in _MAGNITUDES):
        return numbers
    scale = [] if pixel_scale is None else u.pixel_scale(pixel_scale * u.arcsec / u.pix)
    try:
        return np.asarray(unit.to(wanted, numbers, scale))
    except ValueError as error:  # astropy's UnitsError is one
        hint = " (for angles: without a pixel scale)" if wanted == u.pix and not scale else ""
        raise GalSimValueError(f"{given.label} has unit '{unit}', which cannot be converted to "
                               f"'{wanted}'{hint}. Convert it or mend its unit.",
                               str(unit)) from error


def _ids(given, clusters):
    """The ids of classes, int32, or say which rows name none."""
    found = [cluster_id(value, clusters) for value in given.array.ravel().tolist()]
    ids = np.array([-1 if one is None else one for one in found], np.int32)
    ids = np.where(given.mask, np.int32(-1), ids.reshape(given.array.shape))
    bad = np.array([one is None for one in found], bool).reshape(given.array.shape) & ~given.mask
    _refuse(given, bad, "a class of the module, by id or by name ("
            + ", ".join(f"{k} {name!r}" for k, name in enumerate(clusters)) + "), or -1 for any,")
    return ids


def _seed(value):
    """Return an integer of at most 64 bits as int, and anything else as None."""
    if isinstance(value, float | np.floating) and value.is_integer():
        exact = abs(value) < 2**(np.finfo(type(value)).nmant + 1)
    else:
        exact = isinstance(value, Integral) and not isinstance(value, bool)
    return int(value) if exact and -2**63 <= value < 2**64 else None


def _refuse(given, bad, need):
    """Raise an error about the rows that are bad, if there are any."""
    if np.any(bad):
        row = int(np.argmax(bad))
        value = np.ma.masked if given.mask.flat[row] else given.array.flat[row]
        raise GalSimValueError(
            f"{given.label} needs {need} in every row: {np.sum(bad)} of {np.size(bad)} rows are "
            f"bad, the first is row {row} (counted from 0) with {str(value)!r}. "
            "Drop or mend them.", value)


def _check_length(given, length):
    # One seed for many galaxies would make them all alike, so a single value is one row.
    if given.array.size != length:
        raise GalSimValueError(f"{given.label} has {given.array.size} value(s) for a table of "
                               f"{length} row(s). Number of values:", given.array.size)


def _repeat(array, length):
    return array if array.ndim else np.full(length, array)


def _check_range(column, values, strict):
    low, high = column.valid_range
    with np.errstate(over="ignore"):  # float32 on both sides, so that the limits are in range
        outside = (values < np.float32(low)) | (values > np.float32(high))
    if not np.any(outside):
        return
    row = int(np.argmax(outside))
    message = (f"Column {column.name!r} ({column.meaning}) has {np.sum(outside)} of {values.size} "
               f"rows outside of its valid range [{low}, {high}], the first is row {row} (counted "
               f"from 0) with {values[row]}. The module is not reliable there.")
    if strict:
        raise GalSimRangeError(message, values[row], low, high)
    galsim_warn(message)
