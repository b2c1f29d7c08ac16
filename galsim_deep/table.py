"""Read named columns from tables of many kinds and check their values.

A table is an astropy ``Table``, ``QTable`` or ``Row``, a numpy structured array or record, a dict
of arrays, lists, single values or ``Quantity`` objects, a pandas ``DataFrame`` or ``Series`` (one
row), or a `galsim.Catalog` read from FITS.  Units are converted if a table states them.  Errors
name column, row and value, and come before anything slow is started.
"""

__all__ = ["class_number", "in_ranges", "read_angles", "read_classes", "read_columns",
           "read_positive", "read_seeds"]

import difflib
import functools
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.io.fits import FITS_rec
from astropy.table import Row, Table
from galsim.angle import Angle
from galsim.catalog import Catalog
from galsim.errors import (
    GalSimIncompatibleValuesError,
    GalSimKeyError,
    GalSimRangeError,
    GalSimValueError,
    galsim_warn,
)
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    from .modules.card import Column

_KINDS = ("astropy Table, QTable or Row", "numpy structured array or record", "dict of columns",
          "pandas DataFrame or Series", "galsim.Catalog of a FITS file")
_MAGNITUDES = (u.mag, u.ABmag)  # the same number, but astropy does not convert between the two
_LOGARITHMS = (u.dex, u.dB)  # astropy takes these for magnitudes of another size


def read_columns(table: Any, columns: Sequence["Column"], pixel_scale: float | None = None,
                 strict: bool = False, classes: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read the columns of a module from a table.

    Single values are repeated to the length of the other columns read; a table of single values is
    one row.  Further columns of the table are ignored.

    Parameters:
        table:          Any table (see above) with N rows.
        columns:        The columns wanted, as on the card of a module.  In an optional column,
                        values may be missing: NaN, None or masked.  If the card says so, the table
                        may lack the column.
        pixel_scale:    Size of a pixel [arcsec], with which angles and pixels are converted into
                        each other.  [default: None, which means that they cannot be]
        strict:         Whether values outside of the usable range of their column are an error
                        instead of a warning.  [default: False]
        classes:        The names of the module's classes.  If there are any, a column
                        ``galaxy_class`` is read as well if the table has one.  [default: ()]

    Returns:
        a dict from each name, in the order of ``columns``, to a new float32 array [N] in the unit
        of that column, NaN if the value is missing; and, if it was read, from ``galaxy_class``
        to the numbers of the classes as `read_classes` returns them.

    Raises:
        GalSimKeyError:                 A column is missing.
        GalSimValueError:               The kind of table, a unit or a value cannot be used.
        GalSimIncompatibleValuesError:  The columns have different lengths.
        GalSimRangeError:               With ``strict``, a value is out of range.

    >>> from galsim_deep.modules import read_card
    >>> from galsim_deep.modules.resolve import resolve
    >>> columns = read_card(resolve("hub:acs_flow_vae")).columns
    >>> row = {"hlr": 300 * u.mas, "mag_auto": 22.5, "zphot": 0.5}
    >>> read_columns(row, columns)["hlr"]
    array([0.3], dtype=float32)
    """
    may_be_absent = [column.name for column in columns if column.may_be_absent]
    inputs = _take(table, [column.name for column in columns if not column.may_be_absent],
                   [*may_be_absent, *(["galaxy_class"] if classes else [])])
    for name in may_be_absent:
        inputs.setdefault(name, _unwrap(np.nan, f"Column {name!r}"))
    arrays = {column.name: _read(inputs[column.name], column.unit, np.float32, pixel_scale,
                                 column.optional)
              for column in columns}
    for column in columns:
        if column.above is not None:
            # Catalogues mark values that were not measured by numbers such as -1 or -99.
            _refuse(inputs[column.name], arrays[column.name] <= np.float32(column.above),
                    f"a number above {column.above:g}"
                    + (" (NaN lets the module draw it)" if column.optional else ""))
    if classes and "galaxy_class" in inputs:
        arrays["galaxy_class"] = _class_numbers(inputs["galaxy_class"], classes)
    lengths = {name: array.size for name, array in arrays.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        raise GalSimIncompatibleValuesError(
            "The columns of a table must be equally long (or single values). Lengths:", lengths)
    length = next(iter(lengths.values()), 1)
    arrays = {name: _repeat(array, length) for name, array in arrays.items()}
    for column in columns:
        _check_range(column, arrays[column.name], strict)
    return arrays


def in_ranges(row: Mapping[str, float], columns: Iterable["Column"]) -> bool:
    """Whether all numbers of a row are in their usable ranges, so that nothing is warned of.

    Parameters:
        row:        The numbers by name; optional columns may be missing or NaN.
        columns:    The columns, as on the card of a module.
    """
    for column in columns:
        value, (low, high) = row.get(column.name, np.nan), column.usable_range
        missing = column.optional and value != value
        if not (missing or np.float32(low) <= np.float32(value) <= np.float32(high)):
            return False
    return True


def read_classes(values: Any, classes: Sequence[str], length: int) -> NDArray[np.int32]:
    """Read the classes of N galaxies.

    Parameters:
        values:     One value, or N: numbers or names of classes; or -1, NaN, None, masked or empty
                    text if the module should draw the class.
        classes:    The names of the classes, in the order of their numbers.
        length:     The number of rows, N.

    Returns:
        a new int32 array [N] of the numbers of the classes, -1 if the class is to be drawn.

    Raises:
        GalSimValueError:   There are neither one nor N values, or one of them is not a class.

    >>> read_classes(["ring", 0, None], ("disc", "ring"), 3)
    array([ 1,  0, -1], dtype=int32)
    """
    inputs = _unwrap(values, "Argument 'galaxy_class'")
    numbers = _class_numbers(inputs, classes)
    if numbers.ndim:
        _check_length(inputs, length)
    return _repeat(numbers, length)


def class_number(value: Any, classes: Sequence[str]) -> int | None:
    """The number of one class, as `read_classes` reads it; None if the value is not a class.

    >>> class_number("ring", ("disc", "ring")), class_number("bar", ("disc", "ring"))
    (1, None)
    """
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        value = value.strip()  # names in files are padded with blanks
        if value in classes:
            return classes.index(value)
        if value.lower() in ("", "nan"):
            return -1
    if _is_missing(value):
        return -1
    number = _number(value)
    return int(number) if number in range(-1, len(classes)) else None


def read_positive(values: Any, name: str, length: int, unit: str | None = None,
                  limits: tuple[float, float] = (0.0, np.inf)) -> NDArray[np.float64] | None:
    """Read an argument that is one positive number, or one for each row.

    Parameters:
        values:     A number, N numbers, or None.  They may carry a unit.
        name:       The name of the argument, for messages.
        length:     The number of rows, N.
        unit:       The unit wanted, and assumed if ``values`` carry none.  [default: None, which
                    means dimensionless]
        limits:     The smallest and the largest number that can be used.  [default: (0, inf)]

    Returns:
        a new float64 array [N], or None if ``values`` is None.

    Raises:
        GalSimValueError:   There are neither one nor N values, their unit cannot be converted, or
                            one of them is not finite and positive, or outside of the limits.

    >>> read_positive([0.5, 1.0] * u.arcmin, "half_light_radius", 2, unit="arcsec")
    array([30., 60.])
    """
    if values is None:
        return None
    inputs = _unwrap(values, f"Argument {name!r}")
    numbers = _read(inputs, unit or "", np.float64)
    _refuse(inputs, numbers <= 0., "a positive number")
    _refuse(inputs, (numbers < limits[0]) | (numbers > limits[1]),
            f"a number from {limits[0]:g} to {limits[1]:g}")
    if numbers.ndim:
        _check_length(inputs, length)
    return _repeat(numbers, length)


def read_angles(values: Any, name: str, length: int) -> NDArray[np.float64] | None:
    """Read an argument that is one angle, or one for each row.

    Parameters:
        values:     An angle, N angles, or None: `galsim.Angle`, quantities with a unit, or numbers
                    of degrees; NaN or None for a row without one.
        name:       The name of the argument, for messages.
        length:     The number of rows, N.

    Returns:
        a new float64 array [N] [radians], NaN for rows without an angle; or None if ``values`` is
        None.

    Raises:
        GalSimValueError:   There are neither one nor N values, or one of them is not an angle.

    >>> read_angles([90, 0.5 * np.pi * galsim.radians, None], "position_angle", 3).round(4)
    array([1.5708, 1.5708,    nan])
    """
    if values is None:
        return None
    if isinstance(values, Angle):
        values = values.deg
    elif isinstance(values, list | tuple) or getattr(values, "dtype", None) == np.dtype(object):
        values = [value.deg if isinstance(value, Angle) else value for value in values]
    inputs = _unwrap(values, f"Argument {name!r}")
    degrees = _read(inputs, "deg" if inputs.unit is not None else "", np.float64, optional=True)
    if degrees.ndim:
        _check_length(inputs, length)
    return np.radians(_repeat(degrees, length))


def read_seeds(seeds: Any, length: int) -> list[int]:
    """Read the seeds of N galaxies.

    Floating-point numbers are accepted as long as their type represents all integers of that size
    exactly (up to 2**53 for float64): beyond that, different identifiers may already have become
    the same number.

    Parameters:
        seeds:      N integers from -2**63 to 2**64 - 1; a single one is accepted if N = 1.
        length:     The number of rows, N.

    Returns:
        a list of N Python ints.

    Raises:
        GalSimValueError:   There are not N values, or one of them is not such an integer.

    >>> read_seeds(np.array([7.0, 2.0**40]), 2)
    [7, 1099511627776]
    """
    inputs = _unwrap(seeds, "Argument 'seeds'")
    _check_length(inputs, length)
    # Python's ints are quicker to check than numpy's, but floats must keep their precision.
    values: Iterable[Any] = inputs.array.flat
    if inputs.array.dtype.kind in "iu":
        values = inputs.array.ravel().tolist()
    numbers = [_seed(value) for value in values]
    bad = np.array([number is None for number in numbers], dtype=bool) | inputs.mask
    _refuse(inputs, bad, "an exact integer of at most 64 bits")
    return [number for number in numbers if number is not None]


class _Inputs(NamedTuple):
    """A column or an argument as the user gave it."""

    label: str
    """Its name in messages."""
    array: np.ndarray
    """Its values, [N] or []."""
    mask: NDArray[np.bool_]
    """Which values are masked, of the same shape."""
    unit: Any
    """Its unit, or None."""


def _take(table: Any, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, _Inputs]:
    """Take the required columns out of a table of any kind, and the optional ones that it has.

    Warn if the name of a column differs from that of an optional one only in case.
    """
    if isinstance(table, Catalog):
        if not table.isFits():
            raise GalSimValueError(
                "The columns of an ASCII catalog have no names. Give a dict that names them, "
                f"e.g. {{{[*required, 'id'][0]!r}: catalog.data[:, 0]}}.", table)
        table = table.data
    if isinstance(table, Row):
        table = table.table[table.index:table.index + 1]  # the values in a Row lack their units
    if _is_pandas(table) and hasattr(type(table), "to_frame"):
        table = table.to_frame().T  # a Series is one row
    names: Sequence[Any]
    units = {}
    if isinstance(table, Table):
        names = table.colnames
    elif isinstance(table, np.ndarray | np.void) and table.dtype.names is not None:
        names = table.dtype.names
        if isinstance(table, FITS_rec):
            units = {column.name: column.unit or None for column in table.columns}
    elif isinstance(table, Mapping) or _is_pandas(table):
        names = list(table.keys())  # of a DataFrame: its columns
    else:
        raise GalSimValueError("A table of this type is not supported. Use one of the listed "
                               "types. Type of the table:", type(table).__name__, _KINDS)
    _check_names(required, names)
    for wanted in optional:
        alike = [name for name in names if str(name).lower() == wanted and name != wanted]
        if alike and wanted not in names:
            galsim_warn(f"The table has a column {alike[0]!r}, which is not read. If {wanted!r} is "
                        "meant, rename it.")
    return {name: _unwrap(table[name], f"Column {name!r}", units.get(name))
            for name in [*required, *(name for name in optional if name in names)]}


def _is_pandas(table: Any) -> bool:
    """Whether a table is a pandas DataFrame or Series; pandas need not be installed."""
    # Looked up in the class, since the columns of a table are attributes of the object.
    return hasattr(type(table), "iloc")


def _check_names(required: Sequence[str], names: Sequence[Any]) -> None:
    missing = [name for name in required if name not in names]
    if not missing:
        return
    lowered = {str(name).lower(): name for name in names}
    hints = []
    for name in missing:
        for match in difflib.get_close_matches(name.lower(), lowered, n=1):
            hints.append(f" Is {lowered[match]!r} meant for {name!r}? Then rename it.")
    raise GalSimKeyError(
        f"The table has no column {', '.join(map(repr, missing))}; its columns are "
        f"[{', '.join(map(repr, names))}].{''.join(hints)}", missing[0])


def _unwrap(values: Any, label: str, unit: Any = None) -> _Inputs:
    """Separate the values, mask and unit of a column or an argument."""
    mask = getattr(values, "mask", False) if isinstance(values, np.ndarray) else False
    if isinstance(values, list | tuple | range):
        # Keep every item as it is: numpy would make 1. of the True in [True, 2.].
        array = np.fromiter(values, dtype=object, count=len(values))
    elif hasattr(values, "to_numpy"):  # pandas, where .unit would look for a row of that name
        array = values.to_numpy()
    else:
        array = np.asarray(values)
        unit = getattr(values, "unit", None) or unit
    if unit is not None and not isinstance(unit, str | bytes | u.UnitBase | u.FunctionUnitBase):
        raise GalSimValueError(f"{label} has a unit that is not understood. Correct the unit.",
                               str(unit))
    if array.ndim > 1:
        if len(array) > 0:
            raise GalSimValueError(f"{label} has {array[0].size} values per row instead of one. "
                                   "Row 0 holds", array[0])
        array, mask = array.ravel(), False
    return _Inputs(label, array, np.broadcast_to(mask, array.shape), unit)


def _read(inputs: _Inputs, unit: str, dtype: DTypeLike, pixel_scale: float | None = None,
          optional: bool = False) -> np.ndarray:
    """Convert to finite numbers in a unit, or raise an error that names a row at fault.

    If ``optional``, values that are missing become NaN.
    """
    with np.errstate(all="ignore"):  # what overflows is refused as not finite
        numbers = _convert(inputs, _numbers(inputs), _unit(unit), pixel_scale).astype(dtype)
    bad = ~np.isfinite(numbers)
    if optional:
        bad &= ~_missing(inputs)
    _refuse(inputs, bad, f"a finite {np.dtype(dtype).name} number")
    return numbers


def _missing(inputs: _Inputs) -> NDArray[np.bool_]:
    """Which values are missing, in contrast to those that are not numbers."""
    array = inputs.array
    if array.dtype.kind == "f":
        missing = np.isnan(array)
    elif array.dtype.kind == "O":
        missing = np.fromiter(map(_is_missing, array.flat), bool, array.size).reshape(array.shape)
    else:
        missing = np.zeros(array.shape, bool)
    return missing | inputs.mask


def _is_missing(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_nan()
    return (value is None or value is np.ma.masked or (isinstance(value, Real) and value != value)
            or type(value).__name__ == "NAType")  # that of pandas


def _numbers(inputs: _Inputs) -> NDArray[np.float64]:
    """The values as a new float64 array, with NaN for everything that is not a real number."""
    array = inputs.array
    if array.dtype.kind in "iuf":
        numbers = array.astype(np.float64)
    elif array.dtype.kind in "OSUT":
        numbers = np.fromiter(map(_number, array.flat), np.float64, array.size)
    else:  # bool, complex, dates, records
        numbers = np.full(array.shape, np.nan)
    return np.where(inputs.mask, np.nan, numbers.reshape(array.shape))


def _number(value: Any) -> float:
    """One value as a number, NaN if it is not a real number."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str) and "_" in value:
        return np.nan  # Python reads 2_2 as 22
    if isinstance(value, Real | Decimal | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    return np.nan


@functools.lru_cache(maxsize=64)
def _unit(unit: Any) -> Any:
    # The redshift unit counts as no unit. Only astropy.cosmology, which is slow, can parse it.
    return u.Unit("" if str(unit) == "redshift" else unit, parse_strict="silent")


def _convert(inputs: _Inputs, numbers: NDArray[np.float64], wanted: Any,
             pixel_scale: float | None) -> NDArray[np.float64]:
    """Convert numbers from the unit of the input to the wanted one."""
    unit = wanted if inputs.unit is None else _unit(inputs.unit)
    if unit == wanted or (unit in _MAGNITUDES and wanted in _MAGNITUDES):
        return numbers
    scale = [] if pixel_scale is None else u.pixel_scale(pixel_scale * u.arcsec / u.pix)
    try:
        if unit in _LOGARITHMS and wanted in _MAGNITUDES:
            raise u.UnitConversionError(f"'{unit}' is not a magnitude")
        return np.asarray(unit.to(wanted, numbers, scale))
    except ValueError as error:  # astropy's UnitsError is one
        hint = " (for angles: without a pixel scale)" if wanted == u.pix and not scale else ""
        raise GalSimValueError(f"{inputs.label} has unit '{unit}', which cannot be converted to "
                               f"'{wanted}'{hint}. Convert the column or correct "
                               "its unit.",
                               str(unit)) from error


def _class_numbers(inputs: _Inputs, classes: Sequence[str]) -> NDArray[np.int32]:
    """The numbers of classes, -1 if masked, or an error that names a row at fault."""
    numbers = [class_number(value, classes) for value in inputs.array.ravel().tolist()]
    bad = np.array([number is None for number in numbers], bool).reshape(inputs.array.shape)
    _refuse(inputs, bad & ~inputs.mask, "a class of the module, by number or by name ("
            + ", ".join(f"{number} {name!r}" for number, name in enumerate(classes))
            + "; -1 lets the module draw the class),")
    array = np.array([-1 if number is None else number for number in numbers], np.int32)
    return np.where(inputs.mask, np.int32(-1), array.reshape(inputs.array.shape))


def _seed(value: Any) -> int | None:
    """Return an integer of at most 64 bits as int, and anything else as None."""
    if isinstance(value, float | np.floating) and value.is_integer():
        exact = abs(value) < 2**(np.finfo(type(value)).nmant + 1)
    else:
        exact = isinstance(value, Integral) and not isinstance(value, bool)
    return int(value) if exact and -2**63 <= value < 2**64 else None


def _refuse(inputs: _Inputs, bad: NDArray[np.bool_], need: str) -> None:
    """Raise an error that names the first row that is bad, if there is one."""
    if np.any(bad):
        row = int(np.argmax(bad))
        value = np.ma.masked if inputs.mask.flat[row] else inputs.array.flat[row]
        raise GalSimValueError(
            f"{inputs.label} needs {need} in every row. {np.sum(bad)} of {np.size(bad)} rows are "
            f"not valid; the first is row {row} (counted from 0) with {str(value)!r}. "
            "Remove or correct these rows.", value)


def _check_length(inputs: _Inputs, length: int) -> None:
    # One seed for many galaxies would make them all alike, so a single value is one row.
    if inputs.array.size != length:
        raise GalSimValueError(f"{inputs.label} must have one value for each of the {length} "
                               "row(s) of the table. Number of values:", inputs.array.size)


def _repeat(array: np.ndarray, length: int) -> np.ndarray:
    """The array, or a single value repeated."""
    return array if array.ndim else np.full(length, array)


def _check_range(column: "Column", values: NDArray[np.float32], strict: bool) -> None:
    """Warn of values outside of the usable range of their column; if strict, raise an error."""
    low, high = column.usable_range
    with np.errstate(over="ignore"):  # float32 on both sides, so that the limits are in range
        outside = (values < np.float32(low)) | (values > np.float32(high))
    if not np.any(outside):
        return
    row = int(np.argmax(outside))
    kind = "valid" if column.extrapolated_range is None else "extrapolated"
    message = (f"Column {column.name!r} ({column.meaning}) has {np.sum(outside)} of {values.size} "
               f"rows outside of its {kind} range [{low}, {high}]; the first is row {row} (counted "
               f"from 0) with {values[row]}. The module is not reliable there.")
    if strict:
        raise GalSimRangeError(message, values[row], low, high)
    galsim_warn(message)
