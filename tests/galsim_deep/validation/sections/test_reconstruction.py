"""Chi-square of reconstructions beside that of the fits."""

import numpy as np
import pytest

from galsim_deep.validation.sections.reconstruction import Reconstruction


@pytest.fixture
def measurements(random_measurements):
    """50 reconstructions that are better than the fits, of which 20 failed."""
    measurements = random_measurements(50)
    measurements.numbers.update(
        chi2_parametric=np.full(50, 1.2), chi2_reconstructed=np.full(50, 1.1),
        bulge_and_disc=np.zeros(50), fit_failed=np.zeros(50))
    measurements.numbers["chi2_reconstructed"][:20] = np.nan
    measurements.numbers["chi2_parametric"][:5] = np.nan  # nothing was measured there
    return measurements


def test_reconstructions_that_failed_are_not_better(measurements, card, make_comparison):
    """A module must not pass because of those galaxies that it can decode."""
    everything = Reconstruction(make_comparison(card, measurements)).compute()[
        "reconstruction"]["all"]
    assert (everything["n"], everything["failed"]) == (45, 15)
    assert everything["better"]["value"] == pytest.approx(30 / 45)
    assert everything["reconstructed"]["value"] == 1.1
    assert "noiseless" not in everything


def test_the_noiseless_is_compared_with_the_same_fits(measurements, card, make_comparison):
    measurements.numbers["chi2_noiseless"] = np.where(np.arange(50) < 20, 1.0, 1.3)
    section = Reconstruction(make_comparison(card, measurements))
    everything = section.compute()["reconstruction"]["all"]
    assert everything["noiseless_better"]["value"] == pytest.approx(15 / 45)
    assert everything["noiseless"]["value"] == 1.3
    # A stamp that is not known without noise does not count.
    measurements.numbers["chi2_noiseless"][20:] = np.nan
    assert section.compute()["reconstruction"]["all"]["noiseless_better"]["value"] == 1.0


def test_a_module_that_does_not_encode(random_measurements, card, make_comparison):
    section = Reconstruction(make_comparison(
        card, random_measurements(3), no_reconstruction="It has no encoder."))
    results = section.compute()
    assert results == dict(no_reconstruction="It has no encoder.")
    assert list(section.figures(results)) == [] and list(section.card_figures(results)) == []


def test_figures(shapes_validation):
    section = shapes_validation.section("reconstruction")
    figures = {figure.name: figure.drawing for figure in section.figures(shapes_validation.results)}
    assert set(figures) == {"reconstructions", "reconstruction_chi2"}
    labels = [label.get_text() for label in figures["reconstructions"].axes[0].get_yticklabels()]
    assert labels[:3] == ["real", "reconstructed", "parametric"] and len(labels) == 5
