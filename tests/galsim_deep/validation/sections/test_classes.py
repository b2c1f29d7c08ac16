"""The section on classes, on galaxies that were made up to have them."""

import dataclasses
import types

import numpy as np
import pytest

from galsim_deep.measure.statistics import STATISTICS
from galsim_deep.modules.card import GalaxyClass
from galsim_deep.validation.galaxy_classes import Classification, ClassSamples
from galsim_deep.validation.sections.classes import LEAST_SIGNAL, Classes
from galsim_deep.validation.tiles import GAP

COUNT = 600
SHARES = (0.6, 0.3, 0.1)
CARD = types.SimpleNamespace(classes=tuple(
    GalaxyClass(name=name, description=f"It is {name}.", share=share)
    for name, share in zip(("smooth", "spiral", "ring"), SHARES, strict=True)))
FREQUENCIES = dict(draws=1000, drawn=[610, 290, 100], expected=[600.0, 300.0, 100.0],
                   chi_square=0.5, degrees=2, p=0.78)
# The amplitude of adaptive Gaussians of sigma 2 pixels at which the mean signal-to-noise ratio of a
# pixel within two sigma is 1, for noise of 1.
UNIT = 4 * np.pi * 4 / (1 - np.exp(-2))


@pytest.fixture(scope="module")
def made_up(make_measurements):
    """``made_up(step, signal, sources)``: measurements and a classification.

    Gini is ``step`` times the class; everything else is noise of unit variance.
    """

    def make(step=1.0, signal=10.0, sources=COUNT):
        rng = np.random.default_rng(3)
        drawn = rng.choice(3, COUNT, p=SHARES)
        real = rng.choice(3, COUNT, p=SHARES)
        values = {sample: {statistic.name: rng.normal(size=COUNT) for statistic in STATISTICS}
                  for sample in ("real", "generated", "parametric")}
        for sample, classes in (("real", real), ("generated", drawn)):
            values[sample]["gini"] += step * classes
            values[sample]["size"] = np.full(COUNT, 0.06)
            values[sample]["amplitude"] = np.full(COUNT, np.log10(signal * 0.05 * UNIT))
        measurements = dataclasses.replace(
            make_measurements(*values.values()), source=np.arange(COUNT) % sources)
        encoded = dict(real=real, generated=drawn.copy())
        return measurements, Classification(drawn, encoded, np.full(COUNT, 0.05))

    return make


@pytest.fixture(scope="module")
def section_of(make_comparison):
    """``section_of(measurements, classification, frequencies)``: the section on them."""

    def make(measurements, classification, frequencies=FREQUENCIES):
        section = Classes(make_comparison(
            CARD, measurements, galaxies=types.SimpleNamespace(pixel_scales=0.03)))
        vars(section).update(classification=classification, frequencies=frequencies)
        return section

    return make


@pytest.fixture(scope="module")
def summary(section_of):
    """``summary(measurements, classification, frequencies)``: the numbers of the section."""
    return lambda *parts, **frequencies: section_of(
        *parts, **frequencies).compute()["classes"]


@pytest.fixture(scope="module")
def result(summary, made_up):
    return summary(*made_up())


def test_shares(result):
    for number, one in enumerate(result["of_class"]):
        assert (one["name"], one["share"]) == (CARD.classes[number].name, SHARES[number])
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


@pytest.mark.long
def test_what_an_encoder_loses(made_up, summary):
    """Of a third it has no idea: they go where they happen to."""
    measurements, classification = made_up(step=3.0)
    lost = np.random.default_rng(1).random(COUNT) < 1 / 3
    classification.encoded["generated"][lost] = np.random.default_rng(2).choice(
        3, COUNT, p=SHARES)[lost]
    result = summary(measurements, classification)
    gini = result["explained"]["gini"]
    assert gini["generated_found"]["value"] < gini["generated"]["value"] - 0.2
    recovered = result["recovered"]["all"]
    assert recovered["value"] == pytest.approx(2 / 3 + np.square(SHARES).sum() / 3, abs=0.04)
    assert recovered["chance"] == pytest.approx(np.square(SHARES).sum(), abs=0.03)
    assert recovered["n"] == COUNT and 0.01 < recovered["error"] < 0.03
    confusion = np.array(result["recovered"]["confusion"])
    np.testing.assert_array_equal(confusion.sum(axis=1), np.bincount(classification.drawn))
    found = classification.encoded["generated"]
    np.testing.assert_array_equal(confusion.sum(axis=0), np.bincount(found))
    assert np.trace(confusion) == np.sum(classification.drawn == found)


@pytest.mark.parametrize("sample", ["real", "generated"])
@pytest.mark.parametrize("change", [
    lambda values, flags: values["gini"].__setitem__(7, np.nan),
    lambda values, flags: values["m20"].__setitem__(7, np.nan),
    lambda values, flags: values["size"].__setitem__(7, np.nan),
    lambda values, flags: values["amplitude"].__setitem__(7, -2.0),
    lambda values, flags: flags["off_centre"].__setitem__(7, True),
])
def test_both_stamps_must_be_reliable(sample, change, made_up, section_of):
    measurements, classification = made_up()
    change(measurements.values[sample], measurements.flags[sample])
    reliable = section_of(measurements, classification).reliable()
    assert np.flatnonzero(~reliable).tolist() == [7]


@pytest.mark.parametrize("signal", [0.999, 1.001])
def test_the_signal_of_a_pixel(signal, made_up, section_of):
    measurements, classification = made_up(signal=signal * LEAST_SIGNAL)
    assert section_of(measurements, classification).reliable().all() == (signal > 1)
    dark = dataclasses.replace(classification, noise_sigma=np.full(COUNT, np.nan))
    assert not section_of(measurements, dark).reliable().any()


@pytest.mark.long
def test_galaxies_without_a_class(made_up, summary):
    """They are left out, and counted nowhere."""
    measurements, classification = made_up()
    classification.encoded["real"][:100] = -1
    classification.encoded["generated"][:50] = -1
    result = summary(measurements, classification)
    assert result["explained"]["gini"]["n"] == COUNT - 100
    assert sum(one["real"]["n"] for one in result["of_class"]) == COUNT - 100
    assert sum(one["real"]["share"]["value"] for one in result["of_class"]) == pytest.approx(1)
    assert result["recovered"]["all"]["n"] == COUNT - 50
    assert np.sum(result["recovered"]["confusion"]) == COUNT - 50


@pytest.mark.long
def test_rows_count_where_both_stamps_were_measured(made_up, summary):
    measurements, classification = made_up()
    measurements.values["real"]["gini"][:200] = np.nan
    of_class = summary(measurements, classification)["of_class"]
    for sample in ("generated", "real"):
        ns = [one[sample]["statistics"]["gini"]["n"] for one in of_class]
        assert sum(ns) == COUNT - 200
        assert sum(one[sample]["statistics"]["m20"]["n"] for one in of_class) == COUNT


@pytest.mark.long
def test_an_empty_class(made_up, summary):
    measurements, classification = made_up()
    for classes in (classification.drawn, *classification.encoded.values()):
        classes[classes == 2] = 0
    result = summary(measurements, classification)
    ring = result["of_class"][2]
    assert ring["generated"]["n"] == ring["real"]["n"] == 0
    assert ring["real"]["statistics"]["gini"]["n"] == 0
    assert np.isnan(ring["real"]["statistics"]["gini"]["median"]["value"])
    assert result["recovered"]["confusion"][2] == [0, 0, 0]


def test_without_an_encoder_and_a_prior(made_up, summary):
    measurements, classification = made_up()
    frequencies = dict(FREQUENCIES, expected=None, chi_square=None, degrees=None, p=None)
    result = summary(measurements, dataclasses.replace(classification, encoded={}),
                     frequencies=frequencies)
    assert "recovered" not in result
    assert set(result["explained"]["gini"]) == {"n", "sources", "generated"}
    assert all("real" not in one and one["expected"] is None for one in result["of_class"])


@pytest.mark.parametrize("few", ["galaxies", "sources"])
def test_too_few_are_not_judged(few, made_up, summary):
    measurements, classification = made_up(sources=9 if few == "sources" else COUNT)
    if few == "galaxies":
        measurements.values["generated"]["gini"][29:] = np.nan
    result = summary(measurements, classification)["explained"]["gini"]
    assert result["n"] == (29 if few == "galaxies" else COUNT)
    assert result["generated"] is result["real"] is result["generated_found"] is None


@pytest.mark.long
def test_errors_are_bootstrapped_over_sources(made_up, summary):
    """Six sources are less than six hundred."""
    many, few = (summary(*made_up(sources=sources)) for sources in (COUNT, 12))
    one, other = (found["of_class"][0]["real"]["share"]["error"] for found in (many, few))
    assert 0.3 * one < other < 3 * one  # independent of source here, but counted by it
    assert few["explained"]["gini"]["sources"] == 12


# ---- galaxies.fits, card and figures ----------------------------------------------------------


def test_columns_of_the_table(made_up, section_of):
    measurements, classification = made_up()
    columns = section_of(measurements, classification).galaxy_columns()
    assert set(columns) == {"generated_class", "real_class_found", "generated_class_found"}
    np.testing.assert_array_equal(columns["generated_class"], classification.drawn)


def test_figures_on_the_card(result):
    figures = dict(Classes.card_figures(dict(classes=result)))
    assert figures["class_chi_square_p"] == 0.78
    assert figures["class_recovered"]["value"] == 1.0
    assert figures["eta2_gini_real"]["value"] > figures["eta2_m20_real"]["value"]
    assert dict(Classes.card_figures({})) == {}


def test_samples_of_each_class(shapes_validation):
    section = shapes_validation.section("classes")
    figures = {figure.name: figure.drawing for figure in section.figures({})}
    axis = figures["class_samples"].axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "disc\n50 %", "bulge\n30 %", "ring\n20 %"]
    assert [label.get_text() for label in axis.get_xticklabels()] == [
        "as observed", "profile, no PSF or noise"]
    picture = axis.images[0].get_array()
    assert picture.shape == (3 * (32 + GAP) - GAP, 12 * (32 + GAP) - GAP, 3)


def test_statistics_of_each_class(shapes_validation):
    section = shapes_validation.section("classes")
    drawing = {figure.name: figure.drawing for figure in section.figures({})}["class_statistics"]
    assert [axis.get_ylabel() for axis in drawing.axes] == ["Gini", "C", "M20"]
    assert [label.get_text() for label in drawing.axes[-1].get_xticklabels()] == [
        "disc", "bulge", "ring"]
    legend = [text.get_text() for text in drawing.axes[0].get_legend().get_texts()]
    assert legend == ["generated", "real"]
    # Rings are less concentrated than discs, in both samples.
    medians = [line.get_ydata()[0] for line in drawing.axes[1].lines
               if len(line.get_ydata()) == 2 and np.ptp(line.get_ydata()) == 0]
    assert min(medians) < 1.9 < 2.3 < max(medians)


def changed(section, **parts):
    """The same section with other classes, or no samples to show."""
    other = Classes(section.comparison)
    vars(other).update(dict(
        classification=section.classification, samples=section.samples), **parts)
    return other


def test_no_encoder_and_no_samples(shapes_validation):
    section = shapes_validation.section("classes")
    nothing = np.zeros((3, 0, 32, 32), np.float32)
    bare = changed(
        section, classification=dataclasses.replace(section.classification, encoded={}),
        samples=ClassSamples(np.zeros(0, int), nothing, nothing))
    figure, = bare.figures({})
    legend = figure.drawing.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["generated"]


@pytest.mark.parametrize("drawn", [0, 2])
def test_classes_without_galaxies(shapes_validation, tmp_path, drawn):
    section = shapes_validation.section("classes")
    classification = section.classification
    uniform = changed(section, classification=dataclasses.replace(
        classification, drawn=np.full_like(classification.drawn, drawn)))
    for figure in uniform.figures({}):
        figure.drawing.savefig(tmp_path / f"{figure.name}.png")


def test_nothing_could_be_measured(shapes_validation, tmp_path):
    section = shapes_validation.section("classes")
    measurements = section.comparison.measurements
    values = {sample: {name: np.full(len(measurements), np.nan) for name in statistics}
              for sample, statistics in measurements.values.items()}
    blind = changed(section, comparison=dataclasses.replace(
        section.comparison, measurements=dataclasses.replace(measurements, values=values)))
    for figure in blind.figures({}):
        figure.drawing.savefig(tmp_path / f"{figure.name}.png")
