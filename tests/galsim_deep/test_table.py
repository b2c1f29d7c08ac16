"""Tables of every kind give the same arrays, and whatever is wrong in one is named."""

import pickle
import subprocess
import sys
import warnings
from decimal import Decimal

import galsim
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from galsim_deep.modules.card import Column as CardColumn
from galsim_deep.table import (
    class_number,
    in_ranges,
    read_classes,
    read_columns,
    read_positive,
    read_seeds,
)

MAG = CardColumn(name="mag_auto", unit="mag", meaning="total magnitude", quantity="magnitude",
                 valid_range=(18., 25.2))
RADIUS = CardColumn(name="flux_radius", unit="pix", meaning="half-light radius",
                    quantity="half_light_radius", valid_range=(1., 60.), above=0.0)
REDSHIFT = CardColumn(name="zphot", unit="", meaning="photometric redshift", quantity="redshift",
                      valid_range=(0., 4.))
COLUMNS = [MAG, RADIUS, REDSHIFT]
SCALE = 0.03  # arcsec / pix

# In no order, so that a sorted answer would show.
VALUES = {"mag_auto": [24.5, 19.25, 25.1], "flux_radius": [10., 3.5, 41.], "zphot": [1, 0, 3]}
EXTRA = {"id": [7, 3, 9], "name": ["a", "b", "c"]}
EXPECTED = {name: np.array(values, np.float32) for name, values in VALUES.items()}


def read_one(values, column=RADIUS, **kwargs):
    return read_columns({column.name: values}, [column], **kwargs)[column.name]


def changed(column, **fields):
    """A copy of a column with other fields, which need not be those of a sound card."""
    return column.model_copy(update=fields)


def test_a_column_of_classes_in_capitals_is_warned_of():
    with pytest.warns(galsim.GalSimWarning, match="'GALAXY_CLASS'.*'galaxy_class'"):
        arrays = read_columns(dict(VALUES, GALAXY_CLASS=["disc"] * 3), COLUMNS, classes=("disc",))
    assert "galaxy_class" not in arrays
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_columns(dict(VALUES, GALAXY_CLASS=["Sb"] * 3), COLUMNS)
        read_columns(dict(VALUES, GALAXY_CLASS=["Sb"] * 3, galaxy_class=[0, -1, 0]), COLUMNS,
                     classes=("disc",))


def astropy_table():
    return Table({**EXTRA, **VALUES})


def table_with_units(cls=QTable):
    return cls({**EXTRA,
                "zphot": VALUES["zphot"] * u.dimensionless_unscaled,
                "mag_auto": VALUES["mag_auto"] * u.ABmag,
                "flux_radius": np.array(VALUES["flux_radius"]) * SCALE / 60. * u.arcmin})


def structured():
    return astropy_table().as_array()


def big_endian():
    table = np.zeros(3, [("mag_auto", ">f8"), ("flux_radius", ">f4"), ("zphot", ">i2")])
    for name, values in VALUES.items():
        table[name] = values
    return table


def dict_of_quantities():
    return {"mag_auto": u.Magnitude(VALUES["mag_auto"], u.mag(u.AB)),
            "flux_radius": VALUES["flux_radius"] * u.pix,
            "zphot": 100. * np.array(VALUES["zphot"]) * u.percent}


def data_frame(**dtypes):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({**EXTRA, **VALUES}, index=["unit", "mask", "dtype"])
    return frame.astype(dtypes)


def fits_catalog(tmp_path, units=True):
    table = astropy_table()
    if units:
        table["mag_auto"].unit = "mag"
        table["flux_radius"] = np.array(VALUES["flux_radius"]) * SCALE * u.arcsec
    table.write(tmp_path / "catalog.fits")
    return galsim.Catalog(str(tmp_path / "catalog.fits"))


def ascii_catalog(tmp_path):
    lines = [" ".join(map(str, row)) for row in zip(*VALUES.values(), strict=True)]
    (tmp_path / "catalog.txt").write_text("# mag radius z\n" + "\n".join(lines) + "\n")
    return galsim.Catalog(str(tmp_path / "catalog.txt"))


def dict_of_ascii_columns(tmp_path):
    data = ascii_catalog(tmp_path).data
    return {name: data[:, i] for i, name in enumerate(VALUES)}


TABLES = {
    "Table": lambda _: astropy_table(),
    "masked Table, no mask set": lambda _: Table(astropy_table(), masked=True),
    "Table with units": lambda _: table_with_units(Table),
    "QTable": lambda _: table_with_units(),
    "QTable with Masked": lambda _: QTable(
        {**VALUES, "flux_radius": Masked(VALUES["flux_radius"] * u.pix)}),
    "structured array": lambda _: structured(),
    "record array": lambda _: structured().view(np.recarray),
    "masked structured array": lambda _: np.ma.array(structured()),
    "big-endian array": lambda _: big_endian(),
    "dict of arrays": lambda _: {k: np.array(v) for k, v in VALUES.items()},
    "dict of lists": lambda _: {**EXTRA, **VALUES},
    "dict of tuples": lambda _: {k: tuple(v) for k, v in VALUES.items()},
    "dict of Quantities": lambda _: dict_of_quantities(),
    "dict of Columns": lambda _: dict(table_with_units(Table).columns),
    "dict of text": lambda _: {k: list(map(str, v)) for k, v in VALUES.items()},
    "dict of bytes": lambda _: {k: np.array(v).astype("S8") for k, v in VALUES.items()},
    "dict of objects": lambda _: {k: np.array(v, object) for k, v in VALUES.items()},
    "dict of Decimals": lambda _: {k: list(map(Decimal, v)) for k, v in VALUES.items()},
    "dict of strided arrays": lambda _: {k: np.repeat(v, 2)[::2] for k, v in VALUES.items()},
    "DataFrame": lambda _: data_frame(),
    "DataFrame of nullable types": lambda _: data_frame(zphot="Int64", mag_auto="Float64"),
    "DataFrame of text": lambda _: data_frame(zphot="str", flux_radius="object"),
    "dict of Series": lambda _: dict(data_frame().items()),
    "galsim.Catalog": fits_catalog,
    "galsim.Catalog without units": lambda path: fits_catalog(path, units=False),
    "columns of an ASCII galsim.Catalog": dict_of_ascii_columns,
    "FITS record array": lambda path: fits_catalog(path).data,
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_kind_of_table_gives_the_same_arrays(kind, tmp_path):
    arrays = read_columns(TABLES[kind](tmp_path), COLUMNS, pixel_scale=SCALE)
    assert list(arrays) == ["mag_auto", "flux_radius", "zphot"]
    for name, expected in EXPECTED.items():
        assert arrays[name].dtype == np.float32
        assert arrays[name].dtype.isnative and arrays[name].flags.c_contiguous
        assert type(arrays[name]) is np.ndarray
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-7)


def test_the_dict_follows_the_order_of_the_columns():
    arrays = read_columns(astropy_table(), COLUMNS[::-1])
    assert list(arrays) == ["zphot", "flux_radius", "mag_auto"]
    assert read_columns(astropy_table(), []) == {}


def test_rows_keep_their_order():
    rows = np.random.default_rng(1).permutation(50)
    table = Table({"flux_radius": np.linspace(2, 50, 50)})
    whole = read_columns(table, [RADIUS])["flux_radius"]
    np.testing.assert_array_equal(read_columns(table[rows], [RADIUS])["flux_radius"], whole[rows])


def test_the_table_is_neither_changed_nor_shared():
    values = np.array([10., 20.], np.float32)
    array = read_one(values)
    array[:] = 0
    assert values.tolist() == [10., 20.]
    array = read_columns({"flux_radius": 3., "zphot": [0, 1]}, [RADIUS, REDSHIFT])["flux_radius"]
    array[0] = 5.  # a broadcast view would refuse this, or change both
    assert array.tolist() == [5., 3.]


# One row


ROWS = {
    "Row": lambda _: astropy_table()[1],
    "Row of a Table with units": lambda _: table_with_units(Table)[1],
    "Row of a QTable": lambda _: table_with_units()[1],
    "last Row": lambda _: Table(astropy_table()[:2])[-1],
    "record": lambda _: structured()[1],
    "masked record": lambda _: np.ma.array(structured())[1],
    "dict of numbers": lambda _: {k: v[1] for k, v in VALUES.items()},
    "dict of numpy numbers": lambda _: {k: np.array(v)[1] for k, v in VALUES.items()},
    "dict of 0-d arrays": lambda _: {k: np.array(v[1]) for k, v in VALUES.items()},
    "dict of Quantities": lambda _: {k: v[1] for k, v in dict_of_quantities().items()},
    "dict of text": lambda _: {k: str(v[1]) for k, v in VALUES.items()},
    "dict of lists of one": lambda _: {k: v[1:2] for k, v in VALUES.items()},
    "DataFrame": lambda _: data_frame().iloc[[1]],
    "FITS record array": lambda path: fits_catalog(path).data[1:2],
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_single_row(kind, tmp_path):
    arrays = read_columns(ROWS[kind](tmp_path), COLUMNS, pixel_scale=SCALE)
    for name, expected in EXPECTED.items():
        assert arrays[name].shape == (1,)
        np.testing.assert_allclose(arrays[name], expected[1:2], rtol=1e-7)


def test_single_values_are_repeated():
    arrays = read_columns({"mag_auto": 20 * u.mag, "flux_radius": [3., 4.], "zphot": np.array(1)},
                          COLUMNS)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "mag_auto": [20., 20.], "flux_radius": [3., 4.], "zphot": [1., 1.]}
    assert all(array.dtype == np.float32 for array in arrays.values())


def test_a_row_of_pandas():
    """A Series is one row, whatever the types of its values are."""
    frame = data_frame()
    for series in (frame.iloc[1], frame[list(VALUES)].iloc[1], frame.convert_dtypes().iloc[1],
                   frame.assign(columns=1, iloc=2).iloc[1]):
        arrays = read_columns(series, COLUMNS)
        for name, expected in EXPECTED.items():
            np.testing.assert_array_equal(arrays[name], expected[1:2])
    series = frame.iloc[1].copy()
    series["zphot"] = "far"
    with pytest.raises(galsim.GalSimValueError, match="'zphot'.*row 0 .*far"):
        read_columns(series, COLUMNS)
    with pytest.raises(galsim.GalSimKeyError, match="'zphot'"):
        read_columns(series.drop("zphot"), COLUMNS)
    series.index = ["id", "zphot", "mag_auto", "flux_radius", "zphot"]  # the same name twice
    with pytest.raises(galsim.GalSimValueError, match="'zphot' has 2 values"):
        read_columns(series, COLUMNS)
    with pytest.raises(galsim.GalSimKeyError, match="'mag_auto'"):
        read_columns(frame["mag_auto"], COLUMNS)  # a column has other rows


# No rows


@pytest.mark.parametrize("empty", [
    astropy_table()[:0],
    Table(names=list(VALUES), dtype=["U5", "O", "?"]),
    table_with_units()[:0],
    structured()[:0],
    {name: [] for name in VALUES},
    {name: np.zeros((0, 2), complex) for name in VALUES},
    {"mag_auto": 20., "flux_radius": [], "zphot": np.zeros(0, bool)},
], ids=["Table", "dtypes", "QTable", "structured", "lists", "shapes", "single value"])
def test_a_table_without_rows(empty):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = read_columns(empty, COLUMNS, pixel_scale=SCALE, strict=True)
    assert all(a.shape == (0,) and a.dtype == np.float32 for a in arrays.values())
    assert list(arrays) == list(VALUES)


def test_other_kinds_without_rows(tmp_path):
    assert read_columns(data_frame().iloc[:0], COLUMNS)["zphot"].shape == (0,)
    astropy_table()[:0].write(tmp_path / "empty.fits")
    data = fits.getdata(tmp_path / "empty.fits")
    assert read_columns(data, [RADIUS])["flux_radius"].shape == (0,)


# Columns that are missing


@pytest.mark.parametrize("kind", ["Table", "QTable", "structured array", "dict of lists",
                                  "DataFrame", "galsim.Catalog"])
def test_a_missing_column(kind, tmp_path):
    wanted = changed(MAG, name="Mag_Auto")
    with pytest.raises(galsim.GalSimKeyError) as info:
        read_columns(TABLES[kind](tmp_path), [RADIUS, wanted], pixel_scale=SCALE)
    assert isinstance(info.value, KeyError) and info.value.key == "Mag_Auto"
    assert "no column 'Mag_Auto'" in str(info.value)
    assert "Is 'mag_auto' meant for 'Mag_Auto'?" in str(info.value)
    assert "'flux_radius'" in str(info.value) and "'zphot'" in str(info.value)


@pytest.mark.parametrize("name, near", [("MAG_AUTO", True), ("mag_aut", True), ("seeing", False)])
def test_a_near_match_is_offered(name, near):
    with pytest.raises(galsim.GalSimKeyError) as info:
        read_columns(Table({name: [20.]}), [MAG])
    assert f"[{name!r}]" in str(info.value)
    assert (f"Is {name!r} meant" in str(info.value)) == near


@pytest.mark.parametrize("table", [{}, Table(), Table(names=["id"]), {5: [1.]}, Table({"a": []})])
def test_missing_from_a_table_with_nothing_in_it(table):
    with pytest.raises(galsim.GalSimKeyError, match="'mag_auto', 'flux_radius', 'zphot'"):
        read_columns(table, COLUMNS)


@pytest.mark.parametrize("table", [None, 3, "catalog.fits", [], [1., 2.], np.zeros((3, 2)),
                                   np.float64(3), [{"mag_auto": 20.}], object()])
def test_what_is_not_a_table(table):
    with pytest.raises(galsim.GalSimValueError) as info:
        read_columns(table, COLUMNS)
    for word in [type(table).__name__, "astropy Table", "structured array", "dict", "DataFrame",
                 "galsim.Catalog"]:
        assert word in str(info.value)
    assert len(str(info.value)) < 400


def test_an_ascii_catalog_has_no_names(tmp_path):
    example = rf"'{COLUMNS[0].name}': catalog.data\[:, 0\]"
    with pytest.raises(galsim.GalSimValueError, match=f"ASCII.*{example}"):
        read_columns(ascii_catalog(tmp_path), COLUMNS)


# Values that cannot be used


GOOD = [10., 11.]
BAD_VALUES = {
    "text": ([*GOOD, "bright", "x"], 2, "bright"),
    "text array": (np.array(["10", "11", "bright", "x"]), 2, "bright"),
    "empty text": ([*GOOD, "", ""], 2, ""),
    "bytes": (np.array([b"10", b"11", b"n/a", b"n/a"]), 2, b"n/a"),
    "NaN in text": (["10", "11", "nan", "inf"], 2, "nan"),
    "underscore": (["10", "11", "2_2", "1_0.5"], 2, "2_2"),
    "underscore in bytes": (np.array([b"10", b"11", b"2_2", b"_"]), 2, "b'2_2'"),
    "Decimals": ([*GOOD, Decimal("nan"), Decimal("snan")], 2, "NaN"),
    "None": ([*GOOD, None, None], 2, None),
    "object None": (np.array([*GOOD, None, None], object), 2, None),
    "NaN": (np.array([*GOOD, np.nan, np.nan]), 2, np.nan),
    "NaN in a Quantity": ([*GOOD, np.nan, np.nan] * u.arcsec, 2, np.nan),
    "inf": ([*GOOD, np.inf, np.nan], 2, np.inf),
    "-inf": (np.array([*GOOD, -np.inf, np.inf], np.float32), 2, -np.inf),
    "masked array": (np.ma.array([1., 2., 3., 4.], mask=[0, 0, 1, 1]), 2, np.ma.masked),
    "masked integers": (np.ma.array([1, 2, 3, 4], mask=[0, 0, 1, 1]), 2, np.ma.masked),
    "MaskedColumn": (MaskedColumn([1., 2., 3., 4.], mask=[0, 0, 1, 1]), 2, np.ma.masked),
    "MaskedColumn with unit": (MaskedColumn([1., 2., 3., 4.], mask=[0, 0, 1, 1], unit="arcsec"), 2,
                               np.ma.masked),
    "masked text": (MaskedColumn(["1", "2", "3", "4"], mask=[0, 0, 1, 1]), 2, np.ma.masked),
    "Masked Quantity": (Masked([1., 2., 3., 4.] * u.pix, mask=[0, 0, 1, 1]), 2, np.ma.masked),
    "masked in a list": ([*GOOD, np.ma.masked, np.ma.masked], 2, np.ma.masked),
    "complex": (np.array([1, 2], complex), 0, 1 + 0j),
    "complex in a list": ([*GOOD, 1 + 1j, np.complex64(2)], 2, 1 + 1j),
    "bool": (np.array([True, False]), 0, True),
    "bool in a list": ([*GOOD, True, np.False_], 2, True),
    "date": (np.array(["2020-01-01", "2020-01-02"], "datetime64[D]"), 0, None),
    "ragged": ([*GOOD, [1., 2.], [3.]], 2, [1., 2.]),
    "overflow": (np.array([*GOOD, 1e39, -3.5e38]), 2, 1e39),
    "overflow of an int": ([*GOOD, 10**400, -10**39], 2, 10**400),
    "overflow by the unit": (np.array([*GOOD, 1e36, 2e36]) * u.deg, 2, 1e36),
    "one generator": ((x for x in GOOD), 0, None),
    "one NaN": (np.nan, 0, np.nan),
    "one None": (None, 0, None),
    "one masked": (np.ma.masked, 0, np.ma.masked),
}


@pytest.mark.parametrize("kind", BAD_VALUES)
def test_values_that_are_not_numbers(kind):
    values, row, shown = BAD_VALUES[kind]
    table = {"flux_radius": values, "mag_auto": 20.}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(galsim.GalSimValueError) as info:
            read_columns(table, [MAG, RADIUS], pixel_scale=SCALE)
    message = str(info.value)
    assert "Column 'flux_radius'" in message
    assert f"first is row {row} " in message
    assert ("1 of 1 rows" if kind.startswith("one ") else "2 of ") in message
    if shown is not None or kind.endswith("None"):
        assert repr(str(shown)) in message
        assert info.value.value is shown or str(info.value.value) == str(shown)


@pytest.mark.parametrize("table", [
    Table({"flux_radius": [1., 2.]}, masked=True),
    QTable({"flux_radius": Masked([1., 2.] * u.pix)}),
    np.ma.zeros(2, [("flux_radius", float)]),
], ids=["Table", "QTable", "structured"])
@pytest.mark.parametrize("one_row", [False, True])
def test_a_masked_table(table, one_row):
    table = table.copy()
    table["flux_radius"].mask = [False, True]
    row = 0 if one_row else 1
    with pytest.raises(galsim.GalSimValueError, match=f"'flux_radius'.*row {row} .* --"):
        read_columns(table[1] if one_row else table, [RADIUS])


def test_a_data_frame_with_holes():
    for dtypes in {}, {"zphot": "Int64"}, {"zphot": "Float64"}, {"zphot": object}:
        frame = data_frame(**dtypes)
        frame.loc["mask", "zphot"] = None
        with pytest.raises(galsim.GalSimValueError, match="'zphot'.*1 of 3 rows.*row 1 "):
            read_columns(frame, COLUMNS)
    frame = data_frame()
    frame.columns = ["id", "zphot", "mag_auto", "flux_radius", "zphot"]  # the same name twice
    with pytest.raises(galsim.GalSimValueError, match="'zphot' has 2 values"):
        read_columns(frame, COLUMNS)


@pytest.mark.parametrize("values", [np.ones((3, 2)), np.ones((3, 1)), Column(np.ones((3, 2, 2))),
                                    np.ones((3, 2)) * u.pix])
def test_more_than_one_value_per_row(values):
    with pytest.raises(galsim.GalSimValueError, match=r"'flux_radius' has \d values"):
        read_one(values)


def test_columns_of_different_lengths():
    with pytest.raises(galsim.GalSimIncompatibleValuesError) as info:
        read_columns({"mag_auto": [20., 21.], "flux_radius": [3.], "zphot": 1.}, COLUMNS)
    assert info.value.values == {"mag_auto": 2, "flux_radius": 1}
    assert isinstance(info.value, ValueError) and isinstance(info.value, galsim.GalSimError)
    # but not because of a column that is not read
    read_columns({"mag_auto": [20., 21.], "flux_radius": [3.]}, [MAG])


# Units


@pytest.mark.parametrize("values, column, expected", [
    (0.3 * u.arcsec, RADIUS, 10.),
    (300. * u.mas, RADIUS, 10.),
    (0.005 * u.arcmin, RADIUS, 10.),
    (Column([0.3], unit="arcsec"), RADIUS, 10.),
    (10. * u.pix, RADIUS, 10.),
    (Column([10.], unit="pixel"), RADIUS, 10.),
    (10., RADIUS, 10.),
    (20. * u.mag, MAG, 20.),
    (20. * u.ABmag, MAG, 20.),
    (Column([20.], unit="mag(AB)"), MAG, 20.),
    (Column(["20"], unit="mag"), MAG, 20.),
    (u.Magnitude(24., u.mag(u.AB)) - u.Magnitude(4., u.mag(u.AB)), MAG, 20.),
    (1.5 * u.dimensionless_unscaled, REDSHIFT, 1.5),
    (50. * u.percent, REDSHIFT, 0.5),
    (Column([1.5], unit="redshift"), REDSHIFT, 1.5),
], ids=lambda value: getattr(value, "name", None) or str(value))
def test_units_are_converted(values, column, expected):
    array = read_one(values, column, pixel_scale=SCALE)
    np.testing.assert_allclose(array, [expected], rtol=1e-7)


def test_the_redshift_unit_of_astropy():
    cosmology_units = pytest.importorskip("astropy.cosmology.units")
    assert read_one([0.5, 1.] * cosmology_units.redshift, REDSHIFT).tolist() == [0.5, 1.]
    in_redshift = changed(REDSHIFT, unit="redshift")
    assert read_one([0.5, 1.], in_redshift).tolist() == [0.5, 1.]


def test_a_card_in_other_units():
    angle = changed(RADIUS, unit="arcsec", valid_range=(0., 2.))
    assert read_one([1., 2.] * u.arcmin / 60, angle).tolist() == [1., 2.]
    ab = changed(MAG, unit="mag(AB)")
    assert read_one([20.] * u.mag, ab).tolist() == [20.]
    assert read_one([20.] * u.ABmag, ab).tolist() == [20.]
    assert read_one([20.], ab).tolist() == [20.]
    np.testing.assert_allclose(read_one([3630.78] * u.nJy, ab), [22.5], rtol=1e-6)
    with pytest.raises(galsim.GalSimValueError, match="row 1 .* 0.0"):
        read_one([1., 0.] * u.nJy, ab)


@pytest.mark.parametrize("values, column, unit", [
    ([1., 2.] * u.kpc, RADIUS, "kpc"),
    ([1., 2.] * u.mag, RADIUS, "mag"),
    ([1., 2.] * u.dimensionless_unscaled, RADIUS, ""),
    ([20.] * u.STmag, MAG, "mag(ST)"),
    ([20.] * u.nJy, MAG, "nJy"),
    ([20.] * u.dimensionless_unscaled, MAG, ""),
    ([-8.] * u.dex, MAG, "dex"),
    ([50.] * u.dB, MAG, "dB"),
    (Column([20.], unit="furlongs"), MAG, "furlongs"),
    ([1.] * u.m, REDSHIFT, "m"),
    ([1.] * u.mag, REDSHIFT, "mag"),
    ([1.] * u.rad, REDSHIFT, "rad"),
    (Column([], unit="kpc"), RADIUS, "kpc"),
], ids=lambda value: getattr(value, "name", None) or str(value))
@pytest.mark.parametrize("pixel_scale", [None, SCALE])
def test_units_that_cannot_be_converted(values, column, unit, pixel_scale):
    with pytest.raises(galsim.GalSimValueError) as info:
        read_one(values, column, pixel_scale=pixel_scale)
    for word in repr(column.name), f"'{unit}'", f"'{u.Unit(column.unit)}'":
        assert word in str(info.value)


def test_an_angle_needs_the_pixel_scale():
    with pytest.raises(galsim.GalSimValueError, match="'arcsec'.*'pix'.*pixel scale"):
        read_one([0.3] * u.arcsec)


# Values out of range


def test_a_warning_for_each_column_out_of_range():
    table = {"mag_auto": [20., 27.1, 28.], "flux_radius": [10., 20., 30.], "zphot": [1., 2., -1.]}
    with pytest.warns(galsim.GalSimWarning) as record:
        arrays = read_columns(table, COLUMNS)
    assert len(record) == 2
    for word in "'mag_auto'", "total magnitude", "[18.0, 25.2]", "2 of 3 rows", "row 1 ", "27.1":
        assert word in str(record[0].message)
    for word in "'zphot'", "photometric redshift", "[0.0, 4.0]", "1 of 3 rows", "row 2 ", "-1.0":
        assert word in str(record[1].message)
    assert arrays["mag_auto"].tolist() == np.float32([20., 27.1, 28.]).tolist()


@pytest.mark.parametrize("above, value", [(0.0, 0.0), (0.0, -1), (-0.1, -99.0)])
@pytest.mark.parametrize("optional", [False, True])
def test_what_has_no_logarithm(above, value, optional):
    """It is refused, rather than taken for a value that is missing."""
    column = changed(REDSHIFT, optional=optional, above=above)
    with pytest.raises(galsim.GalSimValueError,
                       match=f"'zphot'.* above {above:g}.*row 1.*{value}") as caught:
        read_one([1.5, value], column)
    assert ("NaN" in str(caught.value)) == optional
    column = changed(column, valid_range=(-1., 4.))
    assert read_one([1.5, above + 0.05], column)[1] == np.float32(above + 0.05)


def test_out_of_range_is_an_error_if_strict():
    table = {"mag_auto": [20., 27.1], "flux_radius": [10., 20.], "zphot": [1., -1.]}
    with pytest.raises(galsim.GalSimRangeError) as info:
        read_columns(table, COLUMNS, strict=True)
    assert (info.value.value, info.value.min, info.value.max) == (np.float32(27.1), 18., 25.2)
    for word in "'mag_auto'", "total magnitude", "1 of 2 rows", "row 1 ", "27.1":
        assert word in str(info.value)


def test_the_range_is_in_the_unit_of_the_card():
    read_one([0.03, 1.8] * u.arcsec, pixel_scale=SCALE, strict=True)
    with pytest.raises(galsim.GalSimRangeError, match="70"):
        read_one([0.3, 2.1] * u.arcsec, pixel_scale=SCALE, strict=True)


def test_the_limits_are_in_range():
    """Although 0.7, 25.2 and 0.1 all change when they are rounded to float32."""
    for limit in 0.7, 25.2, 0.1:
        column = changed(REDSHIFT, name="x", valid_range=(limit, limit))
        for values in [limit], np.float32([limit]), [str(limit)]:
            read_columns({"x": values}, [column], strict=True)
    unlimited = changed(REDSHIFT, name="x", valid_range=(-np.inf, 1e300))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_columns({"x": [-1e38, 1e38]}, [unlimited], strict=True)


def test_unusable_values_come_before_ranges():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(galsim.GalSimValueError, match="'zphot'"):
            read_columns({"mag_auto": [30.], "flux_radius": [2.], "zphot": [np.nan]}, COLUMNS)


@pytest.mark.parametrize("unit", [["pix"], 5, {"unit": "pix"}], ids=repr)
def test_units_of_another_type(unit):
    values = np.array([10., 20.]).view(type("Array", (np.ndarray,), {}))
    values.unit = unit
    with pytest.raises(galsim.GalSimValueError, match="'flux_radius'"):
        read_one(values)


@pytest.mark.parametrize("row, inside", [
    (dict(mag_auto=20., flux_radius=10.), True), (dict(mag_auto=20., flux_radius=np.nan), True),
    (dict(mag_auto=20.), True), (dict(mag_auto=25.2, flux_radius=60.), True),
    (dict(mag_auto=26., flux_radius=10.), False), (dict(mag_auto=np.nan), False),
    (dict(flux_radius=10.), False), (dict(mag_auto=20., flux_radius=0.5), False)])
def test_rows_in_all_ranges(row, inside):
    """An optional column may be missing; the other one may not."""
    assert in_ranges(row, [MAG, changed(RADIUS, optional=True)]) == inside


def test_the_extrapolated_range_counts():
    column = changed(MAG, extrapolated_range=(18., 30.))
    assert in_ranges(dict(mag_auto=28.), [column])
    read_one([28.], column, strict=True)
    with pytest.raises(galsim.GalSimRangeError,
                       match=r"extrapolated range \[18.0, 30.0\]") as caught:
        read_one([31.], column, strict=True)
    assert (caught.value.min, caught.value.max) == (18., 30.)


# Seeds


@pytest.mark.parametrize("seeds, expected", [
    ([3, 1, 2], [3, 1, 2]),
    ((0, -1, 2**63), [0, -1, 2**63]),
    ([2**64 - 1, -2**63, 2**53 + 1], [2**64 - 1, -2**63, 2**53 + 1]),
    (range(3), [0, 1, 2]),
    (np.array([2**64 - 1, 0, 2**63 + 1], np.uint64), [2**64 - 1, 0, 2**63 + 1]),
    (np.array([2**63 - 1, -2**63, 0]), [2**63 - 1, -2**63, 0]),
    (np.array([1, 2, 255], np.uint8), [1, 2, 255]),
    (np.array([1, 2, 3], ">i4"), [1, 2, 3]),
    ([np.int32(4), np.uint64(2**63), 5], [4, 2**63, 5]),
    ([1., np.float32(2.), -0.], [1, 2, 0]),
    (np.array([1., 2., 2.**53 - 1]), [1, 2, 2**53 - 1]),
    (np.array([2**70 % 7, 2, 2**63], object), [2**70 % 7, 2, 2**63]),
    (Column([7, 3, 9]), [7, 3, 9]),
    (MaskedColumn([7, 3, 9]), [7, 3, 9]),
], ids=str)
def test_seeds(seeds, expected):
    numbers = read_seeds(seeds, 3)
    assert numbers == expected
    assert all(type(number) is int for number in numbers)


def test_seeds_of_other_kinds(tmp_path):
    assert read_seeds(data_frame()["id"], 3) == [7, 3, 9]
    assert read_seeds(data_frame(id="Int64")["id"], 3) == [7, 3, 9]
    assert read_seeds(fits_catalog(tmp_path).data["id"], 3) == [7, 3, 9]
    assert read_seeds([], 0) == []
    assert read_seeds(np.array([]), 0) == []


@pytest.mark.parametrize("seed", [5, np.int64(5), np.array(5), 5., [5]])
def test_a_single_seed_is_for_a_single_row(seed):
    assert read_seeds(seed, 1) == [5]
    with pytest.raises(galsim.GalSimValueError, match="'seeds' must .* 3 row.* Value 1"):
        read_seeds(seed, 3)
    with pytest.raises(galsim.GalSimValueError, match="'seeds' must .* 0 row.* Value 1"):
        read_seeds(seed, 0)


@pytest.mark.parametrize("seeds", [[1, 2], range(4), np.arange(5), []])
def test_the_wrong_number_of_seeds(seeds):
    with pytest.raises(galsim.GalSimValueError, match=f"'seeds' .* 3 row.* Value {len(seeds)}"):
        read_seeds(seeds, 3)


@pytest.mark.parametrize("bad", [
    1.5, np.float32(0.1), np.nan, np.inf, "5", b"5", None, True, np.True_, 2**64, -2**63 - 1,
    2.**53, 1e30, np.float32(2**24), np.float16(2048), 1 + 0j, [1], Decimal("1.5"), np.ma.masked,
    1 * u.pix,
], ids=repr)
def test_bad_seeds(bad):
    with pytest.raises(galsim.GalSimValueError) as info:
        read_seeds([1, bad, bad, 4], 4)
    for word in "'seeds'", "2 of 4 rows", "row 1 ", str(bad):
        assert word in str(info.value)


@pytest.mark.parametrize("seeds, row", [
    (np.array([1., 1.5]), 1), (np.array(["1", "2"]), 0), (np.array([True, False]), 0),
    (np.ma.array([1, 2], mask=[0, 1]), 1), (np.array([1, None], object), 1),
    (np.array([1, 2], "datetime64[s]"), 0),
])
def test_arrays_of_bad_seeds(seeds, row):
    with pytest.raises(galsim.GalSimValueError, match=f"'seeds'.*row {row} "):
        read_seeds(seeds, 2)


def test_two_seeds_per_row():
    with pytest.raises(galsim.GalSimValueError, match="'seeds' has 2 values"):
        read_seeds(np.ones((3, 2), int), 3)


# Positive arguments


@pytest.mark.parametrize("values, expected", [
    (2, [2., 2., 2.]), (2.5, [2.5, 2.5, 2.5]), ([1, 2., np.float32(3)], [1., 2., 3.]),
    (np.array([1e-300, 1e300, 1.]), [1e-300, 1e300, 1.]), (Column([3, 2, 1]), [3., 2., 1.]),
    ([1., 2., 3.] * u.dimensionless_unscaled, [1., 2., 3.]),
])
def test_positive_values(values, expected):
    array = read_positive(values, "flux", 3)
    assert array.dtype == np.float64 and array.tolist() == expected
    array[0] = 0.  # its own


def test_positive_values_may_be_absent_or_none():
    assert read_positive(None, "flux", 3) is None
    assert read_positive([], "flux", 0).shape == (0,)
    assert read_positive(2., "flux", 0).shape == (0,)


@pytest.mark.parametrize("values", [
    0.5, 0.5 * u.arcsec, [0.5, 0.5] * u.arcsec, Column([500., 500.], unit="mas"),
    np.array([0.5, 0.5]) / 3600 * u.deg, ["0.5", 0.5],
])
def test_positive_values_with_a_unit(values):
    array = read_positive(values, "half_light_radius", 2, unit="arcsec")
    np.testing.assert_allclose(array, [0.5, 0.5], rtol=1e-14)


@pytest.mark.parametrize("bad", [0., -1., -0., np.nan, np.inf, "bright", None, True, 1j],
                         ids=repr)
def test_values_that_are_not_positive(bad):
    with pytest.raises(galsim.GalSimValueError) as info:
        read_positive([1., bad, bad], "flux", 3)
    for word in "'flux'", "2 of 3 rows", "row 1 ", str(bad):
        assert word in str(info.value)
    if bad is not None:
        with pytest.raises(galsim.GalSimValueError, match="'half_light_radius'"):
            read_positive(bad, "half_light_radius", 3, unit="arcsec")


def test_positive_values_of_wrong_length_or_unit():
    with pytest.raises(galsim.GalSimValueError, match="'flux' must .* 3 row.* Value 2"):
        read_positive([1., 2.], "flux", 3)
    with pytest.raises(galsim.GalSimValueError, match="'flux' must .* 3 row.* Value 1"):
        read_positive([1.], "flux", 3)
    with pytest.raises(galsim.GalSimValueError, match="'flux' has unit 'Jy'"):
        read_positive(2. * u.Jy, "flux", 3)
    with pytest.raises(galsim.GalSimValueError, match="'half_light_radius'.*'pix'.*'arcsec'"):
        read_positive(2. * u.pix, "half_light_radius", 3, unit="arcsec")
    with pytest.raises(galsim.GalSimValueError, match="'flux' has 2 values"):
        read_positive(np.ones((3, 2)), "flux", 3)


@pytest.mark.parametrize("bad", [5e-324, 1e-300, 1e-7, 1.1e6, 1e300])
def test_limits_of_positive_values(bad):
    limits = (1e-6, 1e6)
    assert read_positive(limits, "size", 2, limits=limits).tolist() == [*limits]
    with pytest.raises(galsim.GalSimValueError, match="'size'.*row 1 ") as caught:
        read_positive([1., bad], "size", 2, limits=limits)
    assert caught.value.value == bad


@pytest.mark.parametrize("table, error", [
    ({}, KeyError), (None, ValueError), ({"mag_auto": "x"}, ValueError),
    ({"mag_auto": np.ma.masked}, ValueError), ({"mag_auto": 1 * u.kpc}, ValueError),
    ({"mag_auto": 30}, galsim.GalSimRangeError),
], ids=str)
def test_errors_are_galsims_and_reach_another_process(table, error):
    with pytest.raises(error) as info:
        read_columns(table, [MAG], strict=True)
    assert isinstance(info.value, galsim.GalSimError)
    assert str(pickle.loads(pickle.dumps(info.value))) == str(info.value)


def test_nothing_slow_is_imported():
    code = ("import sys, galsim_deep.table; "
            "slow = {'tensorflow', 'pandas', 'astropy.cosmology'} & set(sys.modules); "
            "assert not slow, slow")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# ---- columns that may be left out of a row --------------------------------------------------

OPTIONAL = changed(RADIUS, optional=True)

MISSING = {
    "NaN": [10.0, np.nan, 3.0],
    "array": np.array([10.0, np.nan, 3.0], np.float32),
    "None": [10.0, None, 3.0],
    "masked": MaskedColumn([10.0, 7.0, 3.0], mask=[0, 1, 0]),
    "masked integers": MaskedColumn([10, 7, 3], mask=[0, 1, 0]),
    "masked item": [10.0, np.ma.masked, 3.0],
    "unit": Column([0.3, np.nan, 0.09], unit="arcsec"),
    "Decimal": [Decimal(10), Decimal("nan"), Decimal(3)],
}


@pytest.mark.parametrize("kind", MISSING)
def test_what_is_missing_becomes_nan(kind):
    values = read_one(MISSING[kind], OPTIONAL, pixel_scale=SCALE)
    np.testing.assert_allclose(values, [10.0, np.nan, 3.0], rtol=1e-6)
    # and is an error where the module must have it
    with pytest.raises(galsim.GalSimValueError, match="row 1"):
        read_one(MISSING[kind], RADIUS, pixel_scale=SCALE)


@pytest.mark.parametrize("value", [np.inf, "three", True, 1j])
def test_what_is_no_number_is_not_missing(value):
    with pytest.raises(galsim.GalSimValueError, match="row 1"):
        read_one([10.0, value, 3.0], OPTIONAL, pixel_scale=SCALE)


def test_a_single_missing_value_is_missing_in_every_row():
    values = read_columns({**VALUES, "flux_radius": np.nan}, [MAG, OPTIONAL])
    assert np.isnan(values["flux_radius"]).all() and len(values["flux_radius"]) == 3


def test_a_missing_value_is_in_range():
    read_one([10.0, np.nan], OPTIONAL, strict=True)


def test_an_optional_column_must_still_be_there():
    """A misspelt name must not be taken for a wish to have it drawn."""
    with pytest.raises(galsim.GalSimKeyError, match="flux_radius"):
        read_columns({"mag_auto": [24.0]}, [MAG, OPTIONAL])


def test_what_pandas_calls_missing():
    pandas = pytest.importorskip("pandas")
    values = read_one(pandas.Series([10, None, 3], dtype="Int64"), OPTIONAL)
    np.testing.assert_array_equal(values, [10, np.nan, 3])


# ---- classes --------------------------------------------------------------------------------

CLASSES = ("disc", "bulge", "ring", "ring 2")

ASKED = {
    "ids": [2, 0, -1, 1],
    "array of ids": np.array([2, 0, -1, 1], ">i2"),
    "floats": np.array([2, 0, np.nan, 1], np.float32),
    "names": ["ring", "disc", "", "bulge"],
    "array of names": np.array(["ring", "disc", "", "bulge"]),
    "bytes": np.array([b"ring", b"disc", b"", b"bulge"]),
    "names with blanks": ["ring ", " disc", "  ", "bulge"],
    "both": ["ring", 0, None, np.float32(1)],
    "array of both": np.array(["ring", 0.0, np.nan, b"bulge"], object),
    "numbers as text": ["2", "0", "-1", "1.0"],
    "missing number as text": ["2.0", "disc", "nan", "1"],
    "masked ids": MaskedColumn([2, 0, 77, 1], mask=[0, 0, 1, 0]),
    "masked names": MaskedColumn(["ring", "disc", "no class", "bulge"], mask=[0, 0, 1, 0]),
    "masked item": ["ring", "disc", np.ma.masked, "bulge"],
    "decimals": [Decimal(2), Decimal(0), Decimal(-1), Decimal(1)],
}


@pytest.mark.parametrize("kind", ASKED)
def test_classes_by_id_and_name(kind):
    ids = read_classes(ASKED[kind], CLASSES, 4)
    assert ids.dtype == np.int32 and ids.tolist() == [2, 0, -1, 1]
    table = {"mag_auto": [20., 21., 22., 23.], "galaxy_class": ASKED[kind]}
    assert read_columns(table, [MAG], classes=CLASSES)["galaxy_class"].tolist() == [2, 0, -1, 1]


@pytest.mark.parametrize("dtype", ["str", "object", "string", "category"])
def test_classes_in_a_data_frame(dtype):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"mag_auto": [20., 21., 22.],
                              "galaxy_class": pandas.Series(["ring", None, "ring 2"], dtype=dtype)})
    assert read_columns(frame, [MAG], classes=CLASSES)["galaxy_class"].tolist() == [2, -1, 3]


@pytest.mark.parametrize("names", [["ring", "disc", ""], [2, 0, -1]])
def test_classes_in_a_fits_file(names, tmp_path):
    Table({**VALUES, "galaxy_class": names}).write(tmp_path / "catalog.fits")
    for table in (galsim.Catalog(str(tmp_path / "catalog.fits")),
                  Table.read(tmp_path / "catalog.fits"), fits.getdata(tmp_path / "catalog.fits")):
        arrays = read_columns(table, COLUMNS, classes=CLASSES)
        assert arrays["galaxy_class"].tolist() == [2, 0, -1]


@pytest.mark.parametrize("value, wanted", [
    ("ring", 2), ("ring 2", 3), (b"disc", 0), (3, 3), ("3", 3), (np.int64(1), 1), (-1, -1),
    (None, -1), (np.nan, -1), ("", -1), (np.ma.masked, -1),
    (4, None), (-2, None), (0.5, None), ("rings", None), ("Ring", None), (True, None),
    (np.True_, None), ("1.5", None), ("0_1", None), (1j, None), (b"\xff", None),
    (np.inf, None), ([1], None)])
def test_a_class(value, wanted):
    assert class_number(value, CLASSES) == wanted


@pytest.mark.parametrize("value", ["rings", 4, -2, 0.5, True, b"rings", np.inf])
def test_what_is_no_class_is_refused(value):
    values = np.array(["ring", 0, value, value], object)
    with pytest.raises(galsim.GalSimValueError) as info:
        read_columns({"mag_auto": 22., "galaxy_class": values}, [MAG], classes=CLASSES)
    for word in ("Column 'galaxy_class'", "2 of 4 rows", "row 2", repr(str(value)), *CLASSES):
        assert word in str(info.value)
    assert info.value.value == value
    with pytest.raises(galsim.GalSimValueError, match="Argument 'galaxy_class'"):
        read_classes(value, CLASSES, 3)


def test_a_single_class_is_repeated_and_a_single_row_too():
    arrays = read_columns({"mag_auto": [20., 21.], "galaxy_class": "bulge"}, [MAG], classes=CLASSES)
    assert arrays["galaxy_class"].tolist() == [1, 1]
    arrays = read_columns({"mag_auto": 20., "galaxy_class": ["bulge", 0]}, [MAG], classes=CLASSES)
    assert arrays["mag_auto"].tolist() == [20., 20.] and arrays["galaxy_class"].tolist() == [1, 0]
    assert read_classes("bulge", CLASSES, 3).tolist() == [1, 1, 1]
    assert read_classes([], CLASSES, 0).tolist() == []


def test_classes_of_another_length():
    with pytest.raises(galsim.GalSimIncompatibleValuesError):
        read_columns({"mag_auto": [20., 21.], "galaxy_class": [1, 2, 3]}, [MAG], classes=CLASSES)
    with pytest.raises(galsim.GalSimValueError, match="'galaxy_class' must .* 2 row.* Value 1"):
        read_classes([1], CLASSES, 2)


def test_a_column_of_that_name_is_read_only_where_there_are_classes():
    table = {"mag_auto": [20., 21.], "galaxy_class": ["Sa", "Irr"]}
    assert list(read_columns(table, [MAG])) == ["mag_auto"]
    assert list(read_columns({"mag_auto": 20.}, [MAG], classes=CLASSES)) == ["mag_auto"]
