"""Real galaxies compared with real ones get no mark, and parametric fits are recognised."""

import concurrent.futures
import dataclasses
import json
import multiprocessing

import galsim
import numpy as np
import pytest

from galsim_deep.measure.parametric import fit_parametric
from galsim_deep.measure.statistics import STATISTICS, measure
from galsim_deep.observations.observation import Observation
from galsim_deep.validation.sections.classifier import Classifier
from galsim_deep.validation.sections.verdict import Verdict, judge
from galsim_deep.validation.settings import MIN_GALAXIES, Settings
from galsim_deep.validation.worker import single_threaded

pytestmark = pytest.mark.long

GALAXIES = 100


def observed(image, number):
    """A galaxy without noise, observed through a round PSF with white noise."""
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
        stamps = [[galaxy.stamp for galaxy in galaxies],
                  [fit.stamp + galaxy.noise(np.random.default_rng([2, galaxy.number]))
                   for fit, galaxy in zip(fits, galaxies, strict=True)]]
        measured = [list(pool.map(measure, side, galaxies, chunksize=4)) for side in stamps]
    return tuple({statistic.name: np.array([values[statistic.name] for values, _ in side])
                  for statistic in STATISTICS} for side in measured)


@pytest.fixture(scope="module")
def summarise(make_comparison, make_measurements, without_magnitude):
    """``summarise(real, generated, parametric)``: the numbers of verdict and classifier."""

    def compute(*samples):
        comparison = make_comparison(without_magnitude, make_measurements(*samples))
        return Verdict(comparison).compute() | Classifier(comparison).compute()

    return compute


def part(values, rows):
    return {name: numbers[rows] for name, numbers in values.items()}


FIRST, SECOND = slice(0, GALAXIES // 2), slice(GALAXIES // 2, GALAXIES)


@pytest.fixture(scope="module")
def null(pairs, summarise):
    """One half of the real galaxies in place of those generated for the other half."""
    real, fits = pairs
    return summarise(part(real, FIRST), part(real, SECOND), part(fits, FIRST))


@pytest.fixture(scope="module")
def power(pairs, summarise):
    """Parametric fits in place of generated galaxies."""
    real, fits = pairs
    return summarise(real, fits, fits)


def test_null_no_statistic_is_marked(null):
    marks = [row["mark"] for row in null["verdict"]["all"]]
    assert "fail" not in marks and "closer" not in marks


def test_null_distances_are_at_the_floor(null):
    distances = [null["distances"]["all"][statistic.name] for statistic in STATISTICS]
    above = [distance["generated"]["w1"]["value"] > distance["floor"]["w1"][1]
             for distance in distances]
    assert sum(above) <= 2  # of 13, at 5 % each
    ratios = [distance["generated"]["w1"]["value"] / distance["floor"]["w1"][0]
              for distance in distances]
    assert 0.6 < np.median(ratios) < 1.6


def test_null_a_classifier_finds_nothing(null):
    area = null["classifier"]["all"]["generated"]
    assert abs(area["value"] - 0.5) < 3 * area["error"]
    assert area["error"] < 0.1


def test_power_a_classifier_finds_parametric_galaxies(power):
    areas = power["classifier"]["all"]
    assert areas["generated"]["value"] - 3 * areas["generated"]["error"] > 0.5
    assert areas["generated"]["value"] > areas["real_halves"]["value"] + 0.1


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
    assert mean["ratio"]["value"] == 1 > mean["floor"][0] > 0
    assert mean["floor"][0] < mean["floor"][1] < 1.2


def test_results_are_json(power):
    # NaN may occur; objects that are not plain may not.
    json.dumps(power)


def distance(generated, parametric, limit, n=1000, error=0.05, width=1.0):
    return dict(n=n, sources=n, width=width, floor=dict(w1=(limit / 2, limit)),
                generated=dict(w1=dict(value=generated, error=0.01)),
                parametric=dict(w1=dict(value=parametric, error=0.01)),
                ratio=dict(value=generated / parametric, error=error))


@pytest.mark.parametrize("entry, mark", [
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
    (distance(0.05, 0.5, 0.06, n=MIN_GALAXIES - 1), "too small"),
])
def test_marks(entry, mark):
    assert judge(entry, Settings()) == mark


@pytest.fixture(scope="module")
def verdict_of(make_comparison, without_magnitude):
    """``verdict_of(measurements)``: the numbers of the verdict."""
    return lambda measurements: Verdict(
        make_comparison(without_magnitude, measurements)).compute()


def test_errors_are_bootstrapped_over_sources(pairs, make_measurements, make_comparison,
                                              without_magnitude, verdict_of):
    """The same galaxies four times over tell no more than once."""
    real, fits = (part(sample, slice(0, 40)) for sample in pairs)
    often = [{name: np.repeat(values, 4) for name, values in sample.items()}
             for sample in (real, fits)]
    single = verdict_of(make_measurements(real, fits, fits))
    many = verdict_of(dataclasses.replace(
        make_measurements(often[0], often[1], often[1]), source=np.repeat(np.arange(40), 4)))
    for name in ("g", "gini"):
        assert many["means"]["all"][name]["real"]["error"] == pytest.approx(
            single["means"]["all"][name]["real"]["error"], rel=0.3)
        assert many["distances"]["all"][name]["floor"]["w1"][1] == pytest.approx(
            single["distances"]["all"][name]["floor"]["w1"][1], rel=0.3)


def test_rows_that_were_not_measured_are_left_out_everywhere(pairs, make_measurements, verdict_of):
    real, fits = ({name: values[:MIN_GALAXIES + 5].copy() for name, values in sample.items()}
                  for sample in pairs)
    known = np.isfinite(real["gini"]) & np.isfinite(fits["gini"])
    real["gini"][:7] = np.nan
    fits["gini"][5:10] = np.nan
    table = verdict_of(make_measurements(real, fits, fits))["verdict"]["all"]
    rows = {row["statistic"]: row for row in table}
    assert rows["gini"]["n"] == known[10:].sum()


def test_galaxies_that_cannot_be_measured_fail(make_measurements, verdict_of):
    """A model must not pass because of those of its galaxies that can be measured."""
    def sample(seed):
        return {statistic.name: np.random.default_rng([seed, n]).normal(size=40)
                for n, statistic in enumerate(STATISTICS)}

    real, generated = sample(1), sample(2)
    usable = verdict_of(make_measurements(real, generated, sample(3)))["usable"]["all"]
    assert usable["mark"] == "pass"
    for values in generated.values():
        values[:12] = np.nan
    usable = verdict_of(make_measurements(real, generated, sample(3)))["usable"]["all"]
    assert usable["mark"] == "fail" and usable["compared"] == 28
    assert usable["generated"]["value"] == pytest.approx(0.7)


def test_no_mean_ratio_of_too_few_measured_galaxies(random_measurements, verdict_of):
    for few, there in [(20, True), (21, False)]:
        measurements = random_measurements(50)
        real = {name: np.where(np.arange(50) < few, np.nan, values)
                for name, values in measurements.values["real"].items()}
        numbers = verdict_of(dataclasses.replace(
            measurements, values=dict(measurements.values, real=real)))
        assert ("morphology_mean" in numbers["distances"]["all"]) == there


def test_the_figure_has_a_row_for_each_statistic(pairs, make_measurements, make_comparison,
                                                 without_magnitude):
    real, fits = (part(sample, slice(0, 40)) for sample in pairs)
    section = Verdict(make_comparison(without_magnitude, make_measurements(real, fits, fits)))
    figure, = section.figures(section.compute())
    labels = [label.get_text() for label in figure.drawing.axes[0].get_yticklabels()]
    assert labels == [statistic.label for statistic in STATISTICS]
