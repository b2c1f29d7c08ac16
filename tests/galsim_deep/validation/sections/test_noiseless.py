"""Generated galaxies over real ones, without noise."""

import numpy as np
import pytest

from galsim_deep.measure.structure import EDGES
from galsim_deep.validation.sections.noiseless import Noiseless


@pytest.fixture
def measurements(random_measurements):
    """40 galaxies of 20 sources with half the power and 90 % of the peak of the real ones."""
    measurements = random_measurements(40)
    measurements.source[:] = np.arange(40) // 2
    rng = np.random.default_rng(1)
    power = rng.lognormal(size=(40, len(EDGES) - 1))
    peak = rng.lognormal(size=40)
    measurements.numbers.update(
        peak_noiseless=peak, peak_generated=0.9 * peak, power_noiseless=power,
        power_generated=0.5 * power, sersic_failed_noiseless=np.zeros(40),
        sersic_failed_generated=np.zeros(40))
    return measurements


def test_ratios(measurements, card, make_comparison):
    measurements.numbers["power_generated"][:3] = np.nan
    measurements.numbers["sersic_failed_generated"][:3] = 1
    everything = Noiseless(make_comparison(card, measurements)).compute()["noiseless"]["all"]
    assert (everything["n"], everything["n_power"]) == (40, 37)
    assert everything["fits_failed"] == dict(generated=3, noiseless=0)
    assert everything["peak"]["value"] == pytest.approx(0.9)
    assert [power["value"] for power in everything["power"]] == pytest.approx([0.5] * 4)


def test_figures(measurements, card, make_comparison):
    section = Noiseless(make_comparison(card, measurements))
    results = section.compute()
    figure, = section.figures(results)
    assert figure.drawing.axes[0].get_legend().get_texts()[0].get_text() == "all"
    names = dict(section.card_figures(results))
    assert {"peak_over_noiseless", "power_over_noiseless_0.10_0.15_arcsec"} < set(names)


def test_galaxies_that_are_not_known_without_noise(random_measurements, card, make_comparison):
    section = Noiseless(make_comparison(card, random_measurements(3)))
    assert section.compute() == {} and list(section.figures({})) == []
