"""What is said of classes, on galaxies that were made up to have them."""

import dataclasses
import types

import numpy as np
import pytest

from galsim_deep.card import Cluster
from galsim_deep.validation.classes import LEAST_SIGNAL, reliable, summarise_classes
from galsim_deep.validation.classify import Classified
from galsim_deep.validation.measurements import Measurements
from galsim_deep.validation.statistics import FLAGS, STATISTICS
from galsim_deep.validation.summary import Settings

COUNT = 600
SHARES = (0.6, 0.3, 0.1)
CARD = types.SimpleNamespace(clusters=tuple(
    Cluster(name=name, description=f"It is {name}.", share=share)
    for name, share in zip(("smooth", "spiral", "ring"), SHARES, strict=True)))
FREQUENCIES = dict(draws=1000, drawn=[610, 290, 100], expected=[600.0, 300.0, 100.0],
                   chi_square=0.5, degrees=2, p=0.78)
# Adaptive Gaussians of sigma 2 pixels: of this light, a pixel within two sigma has the signal one.
UNIT = 4 * np.pi * 4 / (1 - np.exp(-2))


def made_up(step=1.0, signal=10.0, sources=COUNT):
    """Gini is ``step`` times the class, plus one; everything else is noise of unit variance."""
    rng = np.random.default_rng(3)
    drawn = rng.choice(3, COUNT, p=SHARES)
    real = rng.choice(3, COUNT, p=SHARES)
    values = {sample: {s.name: rng.normal(size=COUNT) for s in STATISTICS}
              for sample in ("real", "generated", "parametric")}
    for sample, classes in (("real", real), ("generated", drawn)):
        values[sample]["gini"] += step * classes
        values[sample]["size"] = np.full(COUNT, 0.06)
        values[sample]["amplitude"] = np.full(COUNT, np.log10(signal * 0.05 * UNIT))
    measurements = Measurements(
        columns={}, source=np.arange(COUNT) % sources, values=values,
        flags={sample: {flag: np.zeros(COUNT, bool) for flag in FLAGS} for sample in values},
        numbers={}, stamps={})
    found = dict(real=real, generated=drawn.copy())
    return measurements, Classified(drawn, found, np.full(COUNT, 0.05), None)


def summary(measurements, classified, **kwargs):
    return summarise_classes(measurements, classified, CARD, Settings(),
                             kwargs.get("frequencies", FREQUENCIES), 0.03)


@pytest.fixture(scope="module")
def result():
    return summary(*made_up())


def test_shares(result):
    for number, one in enumerate(result["of_class"]):
        assert (one["name"], one["share"]) == (CARD.clusters[number].name, SHARES[number])
        assert one["description"] == f"It is {one['name']}."
        assert one["expected"] == SHARES[number]
        assert one["drawn"] == FREQUENCIES["drawn"][number] / 1000
        for sample in ("generated", "real"):
            assert one[sample]["n"] == pytest.approx(COUNT * SHARES[number], rel=0.25)
        share = one["real"]["share"]
        assert share["value"] == pytest.approx(one["real"]["n"] / COUNT)
        expected = np.sqrt(SHARES[number] * (1 - SHARES[number]) / COUNT)
        assert share["error"] == pytest.approx(expected, rel=0.2)


def test_medians(result):
    for number, one in enumerate(result["of_class"]):
        for sample in ("generated", "real"):
            gini, m20 = (one[sample]["statistics"][name] for name in ("gini", "m20"))
            assert gini["n"] == one[sample]["n"]
            assert abs(gini["median"]["value"] - number) < 4 * gini["median"]["error"]
            assert gini["low"] - number == pytest.approx(-1, abs=0.5)
            assert gini["high"] - number == pytest.approx(1, abs=0.5)
            assert abs(m20["median"]["value"]) < 4 * m20["median"]["error"]
    # Components of ellipticity are as the angle happens to be.
    assert not {"g1", "g2"} & one["generated"]["statistics"].keys()


def test_explained(result):
    """By as much as the means of Gini scatter; of the others only by chance."""
    scatter = np.array(SHARES) @ np.arange(3)**2 - (np.array(SHARES) @ np.arange(3))**2
    gini = result["explained"]["gini"]
    assert gini["n"] == COUNT == result["reliable"]
    for kind in ("generated", "real", "generated_found"):
        assert gini[kind]["value"] == pytest.approx(
            scatter / (scatter + 1), abs=4 * gini[kind]["error"])
        assert 0.01 < gini[kind]["error"] < 0.05
        for name in ("concentration", "m20"):
            other = result["explained"][name][kind]
            assert other["value"] < 3 * other["chance"][1]
        assert gini[kind]["chance"][0] == pytest.approx(1.4 / (COUNT - 1), rel=0.3)
        assert gini[kind]["chance"][1] < 0.03


def test_what_an_encoder_loses():
    """Of a third it has no idea: they go where they happen to."""
    measurements, classified = made_up(step=3.0)
    lost = np.random.default_rng(1).random(COUNT) < 1 / 3
    classified.found["generated"][lost] = np.random.default_rng(2).choice(
        3, COUNT, p=SHARES)[lost]
    result = summary(measurements, classified)
    gini = result["explained"]["gini"]
    assert gini["generated_found"]["value"] < gini["generated"]["value"] - 0.2
    recovered = result["recovered"]["all"]
    assert recovered["value"] == pytest.approx(2 / 3 + np.square(SHARES).sum() / 3, abs=0.04)
    assert recovered["chance"] == pytest.approx(np.square(SHARES).sum(), abs=0.03)
    assert recovered["n"] == COUNT and 0.01 < recovered["error"] < 0.03
    confusion = np.array(result["recovered"]["confusion"])
    np.testing.assert_array_equal(confusion.sum(axis=1), np.bincount(classified.drawn))
    np.testing.assert_array_equal(confusion.sum(axis=0), np.bincount(classified.found["generated"]))
    assert np.trace(confusion) == np.sum(classified.drawn == classified.found["generated"])


@pytest.mark.parametrize("sample", ["real", "generated"])
@pytest.mark.parametrize("change", [
    lambda values, flags: values["gini"].__setitem__(7, np.nan),
    lambda values, flags: values["m20"].__setitem__(7, np.nan),
    lambda values, flags: values["size"].__setitem__(7, np.nan),
    lambda values, flags: values["amplitude"].__setitem__(7, -2.0),
    lambda values, flags: flags["off_centre"].__setitem__(7, True),
])
def test_both_stamps_must_be_reliable(sample, change):
    measurements, classified = made_up()
    change(measurements.values[sample], measurements.flags[sample])
    good = reliable(measurements, classified, 0.03)
    assert np.flatnonzero(~good).tolist() == [7]


@pytest.mark.parametrize("signal", [0.999, 1.001])
def test_the_signal_of_a_pixel(signal):
    measurements, classified = made_up(signal=signal * LEAST_SIGNAL)
    assert reliable(measurements, classified, 0.03).all() == (signal > 1)
    dark = dataclasses.replace(classified, noise_sigma=np.full(COUNT, np.nan))
    assert not reliable(measurements, dark, 0.03).any()


def test_galaxies_without_a_class():
    """They are left out, and counted nowhere."""
    measurements, classified = made_up()
    classified.found["real"][:100] = -1
    classified.found["generated"][:50] = -1
    result = summary(measurements, classified)
    assert result["explained"]["gini"]["n"] == COUNT - 100
    assert sum(one["real"]["n"] for one in result["of_class"]) == COUNT - 100
    assert sum(one["real"]["share"]["value"] for one in result["of_class"]) == pytest.approx(1)
    assert result["recovered"]["all"]["n"] == COUNT - 50
    assert np.sum(result["recovered"]["confusion"]) == COUNT - 50


def test_rows_count_where_both_stamps_were_measured():
    measurements, classified = made_up()
    measurements.values["real"]["gini"][:200] = np.nan
    of_class = summary(measurements, classified)["of_class"]
    for sample in ("generated", "real"):
        ns = [one[sample]["statistics"]["gini"]["n"] for one in of_class]
        assert sum(ns) == COUNT - 200
        assert sum(one[sample]["statistics"]["m20"]["n"] for one in of_class) == COUNT


def test_an_empty_class():
    measurements, classified = made_up()
    for classes in (classified.drawn, *classified.found.values()):
        classes[classes == 2] = 0
    result = summary(measurements, classified)
    ring = result["of_class"][2]
    assert ring["generated"]["n"] == ring["real"]["n"] == 0
    assert ring["real"]["statistics"]["gini"]["n"] == 0
    assert np.isnan(ring["real"]["statistics"]["gini"]["median"]["value"])
    assert result["recovered"]["confusion"][2] == [0, 0, 0]


def test_without_an_encoder_and_a_prior():
    measurements, classified = made_up()
    result = summary(measurements, dataclasses.replace(classified, found={}), frequencies=dict(
        FREQUENCIES, expected=None, chi_square=None, degrees=None, p=None))
    assert "recovered" not in result
    assert set(result["explained"]["gini"]) == {"n", "sources", "generated"}
    assert all("real" not in one and one["expected"] is None for one in result["of_class"])


@pytest.mark.parametrize("few", ["galaxies", "sources"])
def test_too_few_are_not_judged(few):
    measurements, classified = made_up(sources=9 if few == "sources" else COUNT)
    if few == "galaxies":
        measurements.values["generated"]["gini"][29:] = np.nan
    result = summary(measurements, classified)["explained"]["gini"]
    assert result["n"] == (29 if few == "galaxies" else COUNT)
    assert result["generated"] is result["real"] is result["generated_found"] is None


def test_errors_are_bootstrapped_over_sources():
    """Six sources are less than six hundred."""
    many, few = (summary(*made_up(sources=sources)) for sources in (COUNT, 12))
    one, other = (found["of_class"][0]["real"]["share"]["error"] for found in (many, few))
    assert 0.3 * one < other < 3 * one  # independent of source here, but counted by it
    assert few["explained"]["gini"]["sources"] == 12
