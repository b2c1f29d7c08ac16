"""The measuring rod measured: real against real marks nothing, parametric fits are found out."""

import concurrent.futures
import dataclasses
import json
import multiprocessing

import galsim
import numpy as np
import pytest

from galsim_deep.card import read_card
from galsim_deep.handles import resolve
from galsim_deep.validation import chief_figures
from galsim_deep.validation.examine import single_threaded
from galsim_deep.validation.measurements import Measurements
from galsim_deep.validation.observation import Observation
from galsim_deep.validation.parametric import fit_parametric
from galsim_deep.validation.statistics import FLAGS, STATISTICS, measure
from galsim_deep.validation.summary import FEWEST, Settings, _bins, judge, summarise

GALAXIES = 100
CARD = read_card(resolve("hub:acs_flow_vae"))
# Without a magnitude there are no bins, which would all hold the same galaxies.
PLAIN = CARD.model_copy(update=dict(
    columns=tuple(column for column in CARD.columns if column.unit != "mag")))
NUMBERS = ("measured_size", "measured_magnitude", "not_finite", "negative", "edge_flux",
           "ring_flux", "offset_x", "offset_y", "e1", "e2", "subpixel_size", "subpixel_flux",
           "subpixel_g", "response_real", "response_generated", "response_parametric",
           "response_profile")


def observed(image, number):
    """A galaxy without noise, seen through a round PSF with white noise."""
    profile = galsim.InterpolatedImage(galsim.Image(image.astype(float), scale=0.03), flux=4000.0)
    psf = galsim.Moffat(beta=3, fwhm=0.1)
    image_of_psf = psf.drawImage(nx=65, ny=65, scale=0.03, dtype=float).array
    empty = Observation(
        number=number, stamp=np.zeros((96, 96)), psf=image_of_psf / image_of_psf.sum(),
        pixel_scale=0.03, noise_sigma=0.5, columns={})
    noise = empty.noise(np.random.default_rng([1, number]))
    return dataclasses.replace(empty, stamp=empty.convolved(profile) + noise)


@pytest.fixture(scope="module")
def pairs(reference_data):
    """The statistics of 100 real galaxies and of their fits: two dicts of arrays."""
    path = reference_data / "hst_stamps_3band_201" / "hst_stamps_f606w_f814w_f125w_201.npz"
    with np.load(path) as content:
        images = content["f814w"][np.argsort(content["f814w_mag"])[:GALAXIES]]
    # In random order: halves by place are halves at random.
    order = np.random.default_rng(5).permutation(GALAXIES)
    galaxies = [observed(images[n], place) for place, n in enumerate(order)]
    # Functions of the package only: worker processes do not know the tests.
    with concurrent.futures.ProcessPoolExecutor(
            2, mp_context=multiprocessing.get_context("spawn"),
            initializer=single_threaded) as pool:
        fits = list(pool.map(fit_parametric, galaxies, chunksize=4))
        stamps = [[one.stamp for one in galaxies],
                  [fit.stamp + one.noise(np.random.default_rng([2, one.number]))
                   for fit, one in zip(fits, galaxies, strict=True)]]
        found = [list(pool.map(measure, side, galaxies, chunksize=4)) for side in stamps]
    return tuple({s.name: np.array([values[s.name] for values, _ in side]) for s in STATISTICS}
                 for side in found)


def measurements(real, generated, parametric):
    n = len(real["g"])
    values = dict(real=real, generated=generated, parametric=parametric)
    return Measurements(
        columns=dict(flux_radius=np.full(n, 8.0), mag_auto=np.full(n, 22.0), zphot=np.ones(n)),
        source=np.arange(n), values=values,
        flags={sample: {flag: np.zeros(n, bool) for flag in FLAGS} for sample in values},
        numbers={name: np.ones(n) for name in NUMBERS}, stamps={})


def part(values, rows):
    return {name: numbers[rows] for name, numbers in values.items()}


FIRST, SECOND = slice(0, GALAXIES // 2), slice(GALAXIES // 2, GALAXIES)


@pytest.fixture(scope="module")
def null(pairs):
    """One half of the real galaxies poses as generated from the other."""
    real, fits = pairs
    return summarise(measurements(part(real, FIRST), part(real, SECOND), part(fits, FIRST)), PLAIN,
                     Settings())


@pytest.fixture(scope="module")
def power(pairs):
    """Parametric fits pose as generated."""
    real, fits = pairs
    return summarise(measurements(real, fits, fits), PLAIN, Settings())


def test_null_no_statistic_is_marked(null):
    marks = [row["mark"] for row in null["verdict"]["all"]]
    assert "fail" not in marks and "closer" not in marks


def test_null_distances_are_at_the_floor(null):
    distances = [null["distances"]["all"][s.name] for s in STATISTICS]
    above = [one["generated"]["w1"]["value"] > one["floor"]["w1"][1] for one in distances]
    assert sum(above) <= 2  # of 13, at 5 % each
    ratios = [one["generated"]["w1"]["value"] / one["floor"]["w1"][0] for one in distances]
    assert 0.6 < np.median(ratios) < 1.6


def test_null_a_classifier_finds_nothing(null):
    found = null["classifier"]["all"]["generated"]
    assert abs(found["value"] - 0.5) < 3 * found["error"]
    assert found["error"] < 0.1


def test_power_a_classifier_finds_parametric_galaxies(power):
    found = power["classifier"]["all"]
    assert found["generated"]["value"] - 3 * found["generated"]["error"] > 0.5
    assert found["generated"]["value"] > found["real_halves"]["value"] + 0.1


def test_power_structure_gives_parametric_galaxies_away(power):
    """Fits are smooth and symmetric: asymmetry and deviation tell, second moments do not."""
    verdict = {row["statistic"]: row for row in power["verdict"]["all"]}
    assert verdict["asymmetry"]["mark"] == verdict["deviation"]["mark"] == "fail"
    assert verdict["asymmetry"]["real"]["value"] > verdict["asymmetry"]["generated"]["value"] + 0.02
    assert all(verdict[name]["mark"] != "fail" for name in ("g1", "g2", "size", "amplitude"))
    assert all(verdict[name]["ratio"]["value"] == 1 for name in verdict)


def test_the_floor_of_the_mean_ratio(null, power):
    """Half of the real galaxies in place of the generated ones are at the floor, fits are not."""
    mean = null["distances"]["all"]["morphology_mean"]
    median, limit = mean["floor"]
    assert 0.5 * median < mean["ratio"]["value"] < 1.2 * limit
    mean = power["distances"]["all"]["morphology_mean"]
    assert mean["ratio"]["value"] == 1 > mean["floor"][1] > mean["floor"][0] > 0


def test_results_are_json(power):
    # NaN may occur; objects that are not plain may not.
    json.dumps(power)


def distance(generated, parametric, limit, n=1000, error=0.05, width=1.0):
    return dict(n=n, sources=n, width=width, floor=dict(w1=(limit / 2, limit)),
                generated=dict(w1=dict(value=generated, error=0.01)),
                parametric=dict(w1=dict(value=parametric, error=0.01)),
                ratio=dict(value=generated / parametric, error=error))


@pytest.mark.parametrize("found, mark", [
    (distance(0.05, 0.5, 0.06), "pass"),            # within the floor, parametric is not
    (distance(0.05, 0.05, 0.06), "pass"),           # both within a low floor
    (distance(0.05, 0.05, 0.4), "too small"),       # both within a high floor
    (distance(0.2, 0.5, 0.06), "pass"),             # less than half as far
    (distance(0.4, 0.5, 0.06), "closer"),
    (distance(0.48, 0.5, 0.06), "fail"),            # not closer by more than the error
    (distance(0.6, 0.5, 0.06), "fail"),
    (distance(0.068, 0.5, 0.06), "pass"),           # above the floor by less than the error
    (distance(0.187, 0.195, 0.18), "too small"),     # as far as a parametric one told apart
    (distance(0.10, 0.2, 0.18), "pass"),            # within a high floor, clearly closer
    (distance(0.05, 0.5, 0.06, n=FEWEST - 1), "too small"),
])
def test_marks(found, mark):
    assert judge(found, Settings()) == mark


def test_errors_are_bootstrapped_over_sources(pairs):
    """The same galaxies four times over tell no more than once."""
    real, fits = pairs
    once = measurements(part(real, slice(0, 40)), part(fits, slice(0, 40)),
                        part(fits, slice(0, 40)))
    often = measurements(*({name: np.repeat(values, 4) for name, values in one.items()}
                           for one in (once.values["real"], once.values["generated"],
                                       once.values["parametric"])))
    often = dataclasses.replace(often, source=np.repeat(np.arange(40), 4))
    single, many = (summarise(one, PLAIN, Settings()) for one in (once, often))
    for name in ("g", "gini"):
        assert many["means"]["all"][name]["real"]["error"] == pytest.approx(
            single["means"]["all"][name]["real"]["error"], rel=0.3)
        assert many["distances"]["all"][name]["floor"]["w1"][1] == pytest.approx(
            single["distances"]["all"][name]["floor"]["w1"][1], rel=0.3)
    assert [one["sources"] for one in many["bins"]] == [40]


def test_rows_that_were_not_measured_are_left_out_everywhere(pairs):
    # So few that no classifier is tried.
    pairs = [part(one, slice(0, FEWEST + 5)) for one in pairs]
    real, fits = ({name: values.copy() for name, values in one.items()} for one in pairs)
    real["gini"][:7] = np.nan
    fits["gini"][5:10] = np.nan
    row = {row["statistic"]: row
           for row in summarise(measurements(real, fits, fits), PLAIN, Settings())
           ["verdict"]["all"]}
    known = np.isfinite(pairs[0]["gini"]) & np.isfinite(pairs[1]["gini"])
    assert row["gini"]["n"] == known[10:].sum()


def test_galaxies_that_cannot_be_measured_fail():
    """A model must not pass on the strength of those of its galaxies that can be measured."""
    def sample(seed):
        return {s.name: np.random.default_rng([seed, n]).normal(size=40)
                for n, s in enumerate(STATISTICS)}

    real, generated = sample(1), sample(2)
    assert summarise(measurements(real, generated, sample(3)), PLAIN, Settings())[
        "usable"]["all"]["mark"] == "pass"
    for values in generated.values():
        values[:12] = np.nan
    usable = summarise(measurements(real, generated, sample(3)), PLAIN, Settings())["usable"]["all"]
    assert usable["mark"] == "fail" and usable["compared"] == 28
    assert usable["generated"]["value"] == pytest.approx(0.7)


def test_bright_figures_are_those_of_bright_galaxies():
    count = FEWEST - 1  # so few that no classifier is tried
    values = {s.name: np.random.default_rng(1).normal(size=count) for s in STATISTICS}
    data = measurements(values, values, values)
    for magnitude, bright in [(22.0, True), (23.4, False)]:
        data.columns["mag_auto"][:] = magnitude
        results = dict(summarise(data, CARD, Settings()), real=dict(n=count, sources=count),
                       settings=dataclasses.asdict(Settings()))
        names = chief_figures(results)
        assert any(name.endswith("_bright") for name in names) == bright
        assert ("mean_g_over_real_21.5_22.5" in names) == bright
        assert ("mean_g_over_real_22.5_23.5" in names) != bright


def test_reconstructions_that_failed_are_not_better():
    """Nor do they vanish: a module must not pass on the strength of those that can be decoded."""
    values = {s.name: np.random.default_rng(1).normal(size=50) for s in STATISTICS}
    data = measurements(values, values, values)
    data.numbers.update(chi2_parametric=np.full(50, 1.2), chi2_reconstructed=np.full(50, 1.1),
                        bulge_and_disk=np.zeros(50), fit_failed=np.zeros(50))
    data.numbers["chi2_reconstructed"][:20] = np.nan
    data.numbers["chi2_parametric"][:5] = np.nan  # nothing was measured there
    found = summarise(data, CARD, Settings())["reconstruction"]["all"]
    assert (found["n"], found["failed"]) == (45, 15)
    assert found["better"]["value"] == pytest.approx(30 / 45)
    assert found["reconstructed"]["value"] == 1.1
    assert "truth" not in found

    # The truth, where it is known, is compared with the same fits.
    data.numbers["chi2_truth"] = np.where(np.arange(50) < 20, 1.0, 1.3)
    found = summarise(data, CARD, Settings())["reconstruction"]["all"]
    assert found["truth_better"]["value"] == pytest.approx(15 / 45)
    assert found["truth"]["value"] == 1.3
    # A truth that is not known is no truth that loses.
    data.numbers["chi2_truth"][20:] = np.nan
    results = summarise(data, CARD, Settings())
    assert results["reconstruction"]["all"]["truth_better"]["value"] == 1.0
    results.update(real=dict(n=50, sources=50), settings=dataclasses.asdict(Settings()))
    assert chief_figures(results)["truth_better_all"] == 1.0


def test_no_mean_ratio_of_too_few_measured_galaxies():
    values = {s.name: np.random.default_rng(1).normal(size=50) for s in STATISTICS}
    for few, there in [(20, True), (21, False)]:
        real = {name: np.where(np.arange(50) < few, np.nan, one) for name, one in values.items()}
        found = summarise(measurements(real, values, values), PLAIN, Settings())
        assert ("morphology_mean" in found["distances"]["all"]) == there


def test_no_error_on_the_card_without_its_number():
    values = {s.name: np.random.default_rng(1).normal(size=50) for s in STATISTICS}
    results = dict(summarise(measurements(values, values, values), CARD, Settings()),
                   real=dict(n=50, sources=50), settings=dataclasses.asdict(Settings()))
    results["means"]["all"]["g"]["generated_over_real"] = dict(value=np.nan, error=0.1)
    assert not {"mean_g_over_real", "mean_g_over_real_error"} & chief_figures(results).keys()


def test_bins():
    values = {s.name: np.random.default_rng(1).normal(size=50) for s in STATISTICS}
    data = measurements(values, values, values)
    data.columns["mag_auto"][:] = np.linspace(20, 25, 50)
    bins = summarise(data, CARD, Settings(bins=(21.0, 23.0), bright=22.0))["bins"]
    assert [one["name"] for one in bins] == [
        "all", "mag < 22", "mag < 21", "21 < mag < 23", "mag > 23"]
    assert [(one["low"], one["high"]) for one in bins] == [
        (None, None), (None, 22.0), (None, 21.0), (21.0, 23.0), (23.0, None)]
    assert [one["n"] for one in bins] == [50, 20, 10, 20, 20]


def test_bins_of_a_sample_that_is_flat_in_magnitude():
    """No bin is without galaxies, none but the first two holds more than a third."""
    values = {s.name: np.random.default_rng(1).normal(size=300) for s in STATISTICS}
    data = measurements(values, values, values)
    data.columns["mag_auto"][:] = np.linspace(19.5, 26.2, 300)
    bins = _bins(data, CARD, Settings())
    assert len(bins) == 8
    assert all(20 <= one.rows.sum() <= 100 for one in bins[2:])
