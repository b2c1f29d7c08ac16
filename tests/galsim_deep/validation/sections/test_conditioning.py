"""Measured against requested sizes and magnitudes."""

import dataclasses

import numpy as np
import pytest

from galsim_deep.validation.sections.conditioning import Conditioning, differences


@pytest.fixture
def measurements(random_measurements):
    """40 galaxies, measured 10 % larger and half a magnitude fainter than requested."""
    count = 40
    measurements = random_measurements(count)
    rng = np.random.default_rng(1)
    columns = dict(measurements.columns, flux_radius=rng.uniform(4, 12, count),
                   mag_auto=rng.uniform(20, 25, count))
    numbers = dict(measurements.numbers, measured_size=1.1 * columns["flux_radius"],
                   measured_magnitude=columns["mag_auto"] + 0.5)
    samples = {sample: dict(values, size=np.full(count, size), amplitude=np.full(count, amplitude))
               for (sample, values), size, amplitude in zip(
                   measurements.values.items(), (0.2, 0.4, 0.1), (1.0, 1.4, 0.6), strict=True)}
    return dataclasses.replace(
        measurements, columns=columns, numbers=numbers, values=samples)


def test_differences_of_size_and_magnitude(measurements, card):
    measurements.values["generated"]["size"][3] = np.nan
    result = differences(measurements, card)
    column, size = result["size"]
    assert column.name == "flux_radius"
    np.testing.assert_allclose(size["noiseless"], np.log(1.1))
    assert np.isnan(size["observed"][3])
    np.testing.assert_allclose(np.delete(size["observed"], 3), np.log(2))
    np.testing.assert_allclose(size["parametric"], -np.log(2))
    column, magnitude = result["magnitude"]
    assert column.name == "mag_auto"
    np.testing.assert_allclose(magnitude["noiseless"], 0.5)
    # Ten times the amplitude is 2.5 magnitudes brighter.
    np.testing.assert_allclose(magnitude["observed"], -1.0)
    np.testing.assert_allclose(magnitude["parametric"], 1.0)


def test_numbers(measurements, card, make_comparison):
    section = Conditioning(make_comparison(card, measurements))
    results = section.compute()
    size = results["conditioning"]["size"]
    assert (size["column"], size["unit"]) == ("flux_radius", "pix")
    assert len(size["noiseless"]) == 7 and size["noiseless"][0]["n"] == 40
    assert size["noiseless"][0]["median"] == pytest.approx(np.log(1.1))
    figures = dict(section.card_figures(results))
    assert figures["size_bias"] == pytest.approx(np.log(1.1))
    assert figures["magnitude_bias"] == pytest.approx(0.5)
    assert figures["magnitude_scatter"] == pytest.approx(0, abs=1e-9)


def test_galaxies_outside_of_the_valid_range_are_counted(measurements, card, make_comparison):
    low, high = card.column_of("magnitude").valid_range
    measurements.columns["mag_auto"][:3] = low - 1, high + 1, high
    outside = Conditioning(make_comparison(card, measurements)).compute()[
        "conditioning"]["outside_valid_range"]
    assert outside == dict(flux_radius=0, mag_auto=2, zphot=0)


def test_a_module_without_size_and_magnitude(measurements, card, make_comparison):
    bare = card.model_copy(update=dict(columns=(card.column_of("redshift"),)))
    section = Conditioning(make_comparison(bare, measurements))
    results = section.compute()
    assert set(results["conditioning"]) == {"outside_valid_range"}
    assert list(section.figures(results)) == [] and list(section.card_figures(results)) == []


def test_the_figure_shows_both_conditions(measurements, card, make_comparison):
    section = Conditioning(make_comparison(card, measurements))
    figure, = section.figures(section.compute())
    assert [axis.get_ylabel() for axis in figure.drawing.axes] == [
        "Δ ln size", "Δ mag", "Δ ln size", "Δ mag"]
    assert figure.drawing.axes[0].get_xscale() == "log"
