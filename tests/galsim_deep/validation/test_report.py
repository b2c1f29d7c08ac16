"""The report: page, numbers, table and the figures of a card."""

import dataclasses
import errno
import json
import re
import shutil

import galsim
import numpy as np
import pytest
from astropy.table import Table

from galsim_deep.measure.statistics import STATISTICS
from galsim_deep.validation import RealSample, card_figures, validate, write_report
from galsim_deep.validation.memorisation import memorisation
from galsim_deep.validation.report import format_estimate, format_number
from galsim_deep.validation.sections.memorisation import memorisation_results


def test_report_of_three_galaxies(shapes_folder, shapes_file, tmp_path):
    """From the module and its galaxies to the page; the other tests look at larger reports."""
    validation = validate(shapes_folder, RealSample(shapes_file, count=3), processes=1)
    page = write_report(validation, tmp_path / "report").read_text()
    assert "Shear response" in page and page.count("<img ") >= 10
    assert len(Table.read(tmp_path / "report" / "galaxies.fits")) == 3
    assert card_figures(validation.results)["galaxies"] == 3


@pytest.fixture(scope="module")
def report(shapes_validation, tmp_path_factory):
    """The report, as if there had been training galaxies to search for copies."""
    images = np.random.default_rng(1).normal(size=(30, 8, 8))
    images /= np.sqrt((images**2).sum(axis=(1, 2), keepdims=True))
    distances = memorisation(images[:10], images[10:15], images, np.arange(30) // 3)
    results = dict(shapes_validation.results, memorisation=memorisation_results(
        dict(generated=distances, parametric=distances, planted=distances)))
    return write_report(dataclasses.replace(shapes_validation, results=results),
                        tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def text(report):
    """The page without its pictures."""
    return re.sub(r'src="[^"]*"', "", report.read_text())


def test_the_page_holds_everything(report):
    """Nothing is fetched, and every picture is in the page and beside it."""
    page = report.read_text()
    assert 'name="viewport"' in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    pictures = sorted(path.name for path in report.parent.glob("*.png"))
    assert len(pictures) == page.count("<img ") >= 12
    assert {"class_samples.png", "class_statistics.png", "latents.png"} < {*pictures}


def test_headings_in_order(text):
    headings = re.findall("<h2>(.*?)</h2>", text)
    assert headings == [
        "Verdict", "By magnitude", "Classifier", "Distance of embeddings", "Distributions",
        "Stamps that could not be measured, or are unusual", "Conditioning", "Classes", "Latents",
        "Reconstruction", "Without noise", "Physical checks", "Shear response", "Memorisation",
        "How this report was made"]


def test_every_statistic_is_on_the_page(text):
    for statistic in STATISTICS:
        assert statistic.label in text


def test_no_number_is_missing(text):
    assert not re.search(r"\b(nan|None|undefined|inf)\b", text)
    assert "30 bright training stamps" in text
    for name in ("disc", "bulge", "ring", "An exponential disc."):
        assert name in text


def test_numbers(report, shapes_validation):
    numbers = json.loads((report.parent / "report.json").read_text())
    assert numbers["verdict"]["all"][0]["real"]["value"] == pytest.approx(
        shapes_validation.results["verdict"]["all"][0]["real"]["value"])
    assert numbers["classes"]["frequencies"]["drawn"] == shapes_validation.results["classes"][
        "frequencies"]["drawn"]


def test_table_of_galaxies(report, shapes_validation):
    table = Table.read(report.parent / "galaxies.fits")
    assert len(table) == len(shapes_validation.measurements)
    np.testing.assert_array_equal(
        table["generated_g"], shapes_validation.measurements.values["generated"]["g"])
    assert table["real_truncated"].dtype == bool
    np.testing.assert_array_equal(
        table["generated_class"],
        shapes_validation.section("classes").classification.drawn)
    assert {"real_class_found", "generated_class_found"} < {*table.colnames}


def test_a_report_that_fails_leaves_the_last_one(report, shapes_validation, tmp_path, monkeypatch):
    """All of its files are put into their places together, so they belong to one validation."""
    folder = shutil.copytree(report.parent, tmp_path / "report")
    (folder / "notes.txt").write_text("of the user")
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("galsim_deep.validation.report._rendered", full)
        with pytest.raises(galsim.GalSimError, match="No space left on device"):
            write_report(shapes_validation, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert write_report(shapes_validation, folder) == folder / "report.html"
    after = {path: path.read_bytes() for path in folder.iterdir()}
    assert after.keys() == before.keys() and after[folder / "report.json"] != before[
        folder / "report.json"]


# ---- figures of the card ----------------------------------------------------------------------


def test_card_figures_are_finite_numbers(shapes_validation):
    figures = card_figures(shapes_validation.results)
    assert figures["galaxies"] == 48 and figures["sources"] == 24
    assert {"mean_g_over_real", "mean_size_over_real_error", "size_scatter", "ring_flux_median",
            "shear_response_minus_real", "chi2_reconstructed_bright"} < figures.keys()
    assert np.isfinite(list(figures.values())).all()
    for name in ("gini", "concentration", "m20"):
        assert figures[f"eta2_{name}_generated"] > 0.85
        assert {f"eta2_{name}_real", f"eta2_{name}_real_error",
                f"eta2_{name}_generated_found"} < figures.keys()
    assert 0.001 < figures["class_chi_square_p"] <= 1
    assert figures["class_recovered"] > 0.8


def test_card_figures_are_those_of_the_bins_that_there_are(shapes_validation):
    names = card_figures(shapes_validation.results)
    assert {"mean_g_over_real_bright", "mean_g_over_real_below_21.5",
            "mean_g_over_real_21.5_22.5"} < names.keys()
    assert "mean_g_over_real_22.5_23.5" not in names


def test_no_error_on_the_card_without_its_number(shapes_validation):
    results = json.loads(json.dumps(shapes_validation.results))
    results["means"]["all"]["g"]["generated_over_real"] = dict(value=np.nan, error=0.1)
    assert not {"mean_g_over_real", "mean_g_over_real_error"} & card_figures(results).keys()


def test_figures_are_rounded(shapes_validation):
    for value in card_figures(shapes_validation.results).values():
        assert value == float(f"{value:.4g}")


# ---- numbers on the page ----------------------------------------------------------------------


@pytest.mark.parametrize("value, text", [
    (None, "–"), (np.nan, "–"), (0.12345, "0.123"), (-2.0, "−2"), (0.0, "0")])
def test_numbers_for_people(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize("value, error, text", [
    (0.97812, 0.0512, "0.978 ± 0.051"), (-3.2, 0.7, "−3.20 ± 0.70"), (12.34, 2.1, "12.3 ± 2.1"),
    (123.0, 45.0, "123 ± 45"), (2.0, 0.0, "2"), (np.nan, 1.0, "–"), (None, None, "–"),
    (1.2e-6, 3e-7, "1.2e−06 ± 3e−07"), (0.5, np.nan, "0.5")])
def test_estimates_have_the_decimals_of_their_error(value, error, text):
    assert format_estimate(dict(value=value, error=error)) == text


def test_an_estimate_that_is_not_known():
    assert format_estimate(None) == "–"
