"""Medians of shear responses."""

import numpy as np
import pytest

from galsim_deep.validation.sections.shear import Shear


def test_differences_are_paired(random_measurements, card, make_comparison):
    """The scatter between galaxies cancels; galaxies without all responses are left out."""
    measurements = random_measurements(60)
    real = np.random.default_rng(1).normal(1.0, 0.3, 60)
    measurements.numbers.update(
        response_real=real, response_generated=real + 0.01, response_parametric=real - 0.02)
    measurements.numbers["response_parametric"][:7] = np.nan
    section = Shear(make_comparison(card, measurements))
    results = section.compute()
    everything = results["shear"]["all"]
    assert everything["n"] == 53
    assert everything["generated_minus_real"]["value"] == pytest.approx(0.01)
    assert everything["generated_minus_real"]["error"] < 1e-9 < everything["real"]["error"]
    assert everything["parametric_minus_real"]["value"] == pytest.approx(-0.02)
    assert dict(section.card_figures(results))["shear_response_minus_real"]["value"] == (
        pytest.approx(0.01))


def test_no_response_is_known(random_measurements, card, make_comparison):
    measurements = random_measurements(3)
    measurements.numbers["response_generated"] = np.full(3, np.nan)
    section = Shear(make_comparison(card, measurements))
    results = section.compute()
    assert results == dict(shear={})
    assert dict(section.card_figures(results)) == dict(shear_response_minus_real=None)
