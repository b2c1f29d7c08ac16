"""The headline of a report on a collection: numbers, pictures and page."""

import json

import numpy as np
import pytest

from galsim_deep.validation import RealSample, validate, write_report
from galsim_deep.validation.requirements import REQUIREMENTS
from galsim_deep.validation.sections.natural_size import NaturalSizeSection
from galsim_deep.validation.settings import Settings


@pytest.fixture(scope="module")
def validation(tiny_folder, natural_file):
    return validate(tiny_folder, RealSample(natural_file, parts=("held-out", "seen")),
                    settings=Settings(bootstraps=20), processes=1)


@pytest.mark.long
def test_report(validation, tmp_path):
    """It opens with the requirements, and names the galaxies that are left out."""
    page = write_report(validation, tmp_path).read_text()
    assert 0 < page.index("At natural size") < page.index("<h2>Classifier")
    for requirement in REQUIREMENTS:
        assert requirement.quantity.replace("<", "&lt;").replace(">", "&gt;") in page
    assert "mag_auto is outside of the range of the module" in page
    numbers = json.loads((tmp_path / "report.json").read_text())
    assert numbers["natural_size"].keys() == {"held-out", "seen"}
    assert len(numbers["requirements"]) == len(REQUIREMENTS)
    assert numbers["null_test"]["power"][2]["value"] is not None
    assert (tmp_path / "sheet_bright.png").is_file()
    assert not (tmp_path / "sheet_faint.png").exists()


@pytest.mark.long
def test_a_stamp_of_each_size(validation):
    stamps = validation.measurements.stamps
    assert len({stamp.shape for stamp in stamps["real"]}) == 1  # all have one extent
    for name in ("generated", "parametric", "profile"):
        assert [stamp.shape for stamp in stamps[name]] == [
            stamp.shape for stamp in stamps["real"]]
        assert all(np.isfinite(stamp).all() for stamp in stamps[name])


@pytest.mark.long
def test_figures_of_the_card(validation):
    figures = dict(NaturalSizeSection.card_figures(validation.results))
    assert "half-light radius, measured over asked, 0.05 to 5″, smallest (held-out)" in figures
    assert all("value" in number for number in figures.values())
    assert dict(NaturalSizeSection.card_figures({})) == {}


@pytest.mark.long
def test_the_section_is_for_collections_only(validation, shapes_validation):
    assert validation.section("natural size")
    assert not NaturalSizeSection.applies_to(shapes_validation.comparison)
