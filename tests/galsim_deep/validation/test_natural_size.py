"""The comparison at natural size, of measurements that are made up: same galaxies, and others."""

import dataclasses

import numpy as np
import pytest

from galsim_deep.measure.statistics import STATISTICS
from galsim_deep.measure.structure_map import ANGLES, RADII
from galsim_deep.validation.galaxy import SAMPLES
from galsim_deep.validation.natural_size import (
    NaturalSample,
    compare_at_natural_size,
    detections,
    ellipticity,
    extremes,
    null_test,
    outer_light,
    pairs,
    power,
    relations,
    sersic,
    shear,
)
from galsim_deep.validation.two_sample import bootstrap_weights

COUNT = 160


def made_up(seed=1):
    """A sample in which generated and parametric galaxies are the real ones."""
    rng = np.random.default_rng(seed)
    values = {statistic.name: rng.normal(1, 0.2, COUNT) for statistic in STATISTICS}
    maps = rng.normal(size=(COUNT, len(RADII) * ANGLES))
    maps /= np.sqrt((maps**2).sum(axis=1, keepdims=True))
    numbers = dict(
        power=rng.lognormal(size=(COUNT, 4)), ring=rng.normal(0.05, 0.01, COUNT),
        wings=rng.normal(0.03, 0.01, COUNT), sersic_n=rng.uniform(0.5, 5, COUNT),
        signal=np.full(COUNT, 10.0), map=maps, map_noise=np.full(COUNT, 0.1))
    for survey in ("hst", "euclid", "rubin"):
        numbers[f"found_{survey}"] = rng.integers(1, 4, COUNT).astype(float)
        numbers[f"shredded_{survey}"] = (numbers[f"found_{survey}"] > 1).astype(float)
    for survey in ("euclid", "rubin"):
        numbers[f"slope_{survey}"] = rng.normal(0.95, 0.05, COUNT)
        numbers[f"square_{survey}"] = rng.uniform(0, 0.2, COUNT)
    source = np.arange(COUNT)
    return NaturalSample(
        name="held-out", values=dict.fromkeys(SAMPLES, values),
        numbers={f"{name}_{sample}": value for name, value in numbers.items()
                 for sample in SAMPLES},
        source=source, parts=np.full(COUNT, "held-out"), surveys=np.full(COUNT, "a"),
        magnitudes=rng.uniform(20, 25, COUNT), sizes=rng.uniform(0.1, 1, COUNT),
        redshifts=rng.uniform(0.1, 2, COUNT), has_wings=np.ones(COUNT, bool),
        weights=bootstrap_weights(source, 60, 1), seed=1)


def changed(sample, **changes):
    """The sample with other numbers of the generated galaxies."""
    return dataclasses.replace(sample, numbers={**sample.numbers, **{
        f"{name}_generated": values for name, values in changes.items()}})


@pytest.fixture(scope="module")
def same():
    return made_up()


@pytest.mark.long
def test_the_same_galaxies_differ_in_nothing(same):
    results = compare_at_natural_size(same)
    assert all(ratio["value"] == 1 for ratio in results["power"]["bright"]["generated"])
    assert results["outer_light"]["ring"]["generated_over_real"]["value"] == 1
    assert results["detections"]["hst"]["found"]["generated_over_real"]["value"] == 1
    assert results["sersic"]["share"]["generated_minus_real"] == dict(value=0, error=0)
    assert results["relations"]["gini"]["slopes"]["redshift"]["generated_minus_real"][
        "value"] == 0
    assert results["extremes"]["smooth"]["value"] == 1
    assert results["shear"]["rubin"]["generated_minus_real"]["value"] == 0
    assert results["diversity"]["coverage"]["generated"] == results["diversity"]["coverage"]["real"]
    assert results["classifier"]["all"]["generated"]["value"] == pytest.approx(0.5, abs=0.15)


def test_power(same):
    """By magnitude: half of the power of bright galaxies is missing."""
    halved = same.of("power", "real") * np.where(same.bright, 0.5, 1.0)[:, None]
    results = power(changed(same, power=halved))
    assert [ratio["value"] for ratio in results["bright"]["generated"]] == pytest.approx([0.5] * 4)
    assert [ratio["value"] for ratio in results["faint"]["generated"]] == [1] * 4
    assert results["bright"]["n"][0] + results["faint"]["n"][0] == COUNT
    assert results["bright, large"]["n"][0] + results["bright, small"]["n"][0] == results[
        "bright"]["n"][0]
    assert results["a"]["n"] == [COUNT] * 4


def test_a_bin_that_is_not_known_for_some(same):
    values = same.of("power", "real").copy()
    values[:COUNT // 2, 0] = np.nan
    results = power(changed(same, power=values))
    assert results["a"]["n"] == [COUNT // 2, COUNT, COUNT, COUNT]
    assert results["a"]["generated"][0]["value"] == 1


def test_wings_of_galaxies_that_were_cut_do_not_count(same):
    wrong = np.where(np.arange(COUNT) < 80, 9.0, 0.5 * same.of("ring", "real"))
    sample = dataclasses.replace(changed(same, ring=wrong), has_wings=np.arange(COUNT) >= 80)
    ring = outer_light(sample)["ring"]
    assert ring["n"] == 80 and ring["generated_over_real"]["value"] == pytest.approx(0.5)


def test_detections_are_those_of_bright_galaxies(same):
    one = np.where(same.bright, 1.0, 50.0)
    found = detections(changed(same, found_hst=one, shredded_hst=np.zeros(COUNT)))["hst"]
    assert found["found"]["generated"]["value"] == 1
    assert found["shredded"]["generated_over_real"]["value"] == 0
    assert found["n"] == same.bright.sum()


def test_ellipticity_by_magnitude(same):
    rounder = dict(same.values["real"], g=0.8 * same.values["real"]["g"])
    sample = dataclasses.replace(same, values=dict(same.values, generated=rounder))
    assert [row["generated"]["value"] for row in ellipticity(sample)] == pytest.approx([0.8] * 4)


def test_sersic_index_with_size(same):
    """Real galaxies have indices that fall with size, generated ones that rise."""
    numbers = {f"sersic_n_{other}": (3 - 2 * same.sizes if other == "real" else 1 + same.sizes)
               for other in SAMPLES}
    results = sersic(dataclasses.replace(same, numbers={**same.numbers, **numbers}))
    assert results["correlation"]["real"]["value"] == pytest.approx(-1)
    assert results["correlation"]["generated_minus_real"]["value"] == pytest.approx(2)
    assert results["share"]["generated"]["value"] == 0
    assert results["share"]["real"]["value"] == pytest.approx((same.sizes < 0.25).mean())


def test_change_with_redshift_at_fixed_magnitude_and_size(same):
    values = {other: dict(same.values[other]) for other in SAMPLES}
    values["real"]["gini"] = 0.5 + 0.02 * same.redshifts - 0.03 * same.magnitudes
    values["generated"]["gini"] = 0.5 - 0.03 * same.magnitudes
    change = relations(dataclasses.replace(same, values=values))["gini"]
    assert change["change_with_redshift"]["real"]["value"] == pytest.approx(0.034)
    assert change["change_with_redshift"]["generated_minus_real"]["value"] == pytest.approx(-0.034)
    assert change["slopes"]["magnitude"]["generated"]["value"] == pytest.approx(-0.03)


def test_galaxies_in_the_middle_are_neither_smooth_nor_structured(same):
    median = np.tile(np.median(same.of("power", "real"), axis=0), (COUNT, 1))
    results = extremes(changed(same, power=median))
    assert results["smooth"]["value"] == 0 and results["structured"]["value"] == 0


def test_a_model_of_templates_repeats_structure(same):
    repeated = same.of("map", "real")[np.arange(COUNT) % 4]
    results = pairs(changed(same, map=repeated))
    assert results["real"]["alike"] == 0 and results["generated"]["alike"] > 0.2 * results[
        "generated"]["pairs"]
    assert results["generated_over_real"]["value"] > 100


def test_shear_bias_of_the_difference(same):
    bias = shear(changed(same, slope_rubin=0.97 * same.of("slope_rubin", "real")))["rubin"]
    assert bias["generated_minus_real"]["value"] == pytest.approx(-0.03 * (
        1 + bias["real"]["value"]))
    # The galaxies are paired, so that their scatter cancels.
    assert bias["generated_minus_real"]["error"] < bias["real"]["error"]


def test_null_test():
    first, second = made_up(1), made_up(2)
    result = null_test(first, second)
    assert result["classifier"]["value"] == pytest.approx(0.5, abs=0.12)
    for ratio in result["power"]:
        assert abs(ratio["value"] - 1) < 4 * ratio["error"]
    blurred = dataclasses.replace(second, numbers=dict(
        second.numbers, power_real=10 * second.of("power", "real")))
    assert all(ratio["value"] < 0.2 for ratio in null_test(first, blurred)["power"])
