"""The interface of sections, and a new section that is one file."""

import dataclasses
import json

import numpy as np
import pytest

from galsim_deep.validation import card_figures, run, validate, write_report
from galsim_deep.validation.estimates import mean
from galsim_deep.validation.figures import Figure, new_figure
from galsim_deep.validation.sections import SECTIONS
from galsim_deep.validation.sections.base import Section, bin_suffix, card_bins

pytestmark = pytest.mark.long

RESULTS = dict(settings=dict(bright=23.0), bins=[
    dict(name="all", low=None, high=None), dict(name="mag < 23", low=None, high=23.0),
    dict(name="mag < 21.5", low=None, high=21.5),
    dict(name="21.5 < mag < 22.5", low=21.5, high=22.5),
    dict(name="mag > 25.5", low=25.5, high=None)])


def test_names_are_distinct_and_sections_are_described():
    names = [section.name for section in SECTIONS]
    assert len(set(names)) == len(names)
    assert all(section.__doc__ for section in SECTIONS)


def test_bins_of_the_card():
    assert card_bins(RESULTS) == [("all", "all"), ("bright", "mag < 23")]
    assert card_bins(dict(RESULTS, bins=RESULTS["bins"][:1])) == [("all", "all")]
    assert [bin_suffix(one, RESULTS) for one in RESULTS["bins"][1:]] == [
        "bright", "below_21.5", "21.5_22.5", "above_25.5"]


class Colours(Section):
    """A section such as one might add."""

    name = "colours"
    summary = "The mean is {{ results.colours.mean | value }}."
    template = "<h2>Colours & more</h2><p>{{ unit }}</p>{{ figures }}"

    def compute(self):
        sizes = self.comparison.measurements.values["real"]["size"]
        return dict(colours=dict(mean=mean(sizes, self.comparison.weights)))

    def figures(self, results):
        figure = new_figure(2, 2)
        figure.subplots().plot([results["colours"]["mean"]["value"]])
        yield Figure("colours", "A colour <b>.", figure)

    def page_variables(self):
        return dict(unit="<mag>")

    def galaxy_columns(self):
        return dict(colour=np.arange(len(self.comparison.measurements)))

    @classmethod
    def card_figures(cls, results):
        yield "colour", results["colours"]["mean"]


@pytest.fixture
def validation(shapes_validation):
    """The validation of the small module with one more section."""
    section = Colours(shapes_validation.comparison)
    return dataclasses.replace(
        shapes_validation, sections=(*shapes_validation.sections, section),
        results=dict(shapes_validation.results, **section.compute()))


def test_a_new_section_is_in_the_report(validation, tmp_path):
    from astropy.table import Table

    page = write_report(validation, tmp_path).read_text()
    assert "<h2>Colours & more</h2><p>&lt;mag&gt;</p>" in page
    assert "The mean is 0." in page
    assert "<figcaption>A colour &lt;b&gt;.</figcaption>" in page
    assert (tmp_path / "colours.png").is_file()
    assert np.isfinite(json.loads((tmp_path / "report.json").read_text())[
        "colours"]["mean"]["value"])
    assert "colour" in Table.read(tmp_path / "galaxies.fits").colnames
    assert validation.section("colours") is validation.sections[-1]


def test_a_new_section_is_on_the_card(validation, monkeypatch):
    from galsim_deep.validation import report

    monkeypatch.setattr(report, "SECTIONS", (*SECTIONS, Colours))
    figures = card_figures(validation.results)
    assert {"colour", "colour_error"} < figures.keys()


def test_two_sections_must_not_have_the_same_key(monkeypatch, shapes_folder, shapes_file,
                                                 shapes_cache):
    class Twin(Colours):
        name = "twin"

    monkeypatch.setattr(run, "SECTIONS", (Colours, Twin))
    with pytest.raises(ValueError, match="'twin' computes colours"):
        validate(shapes_folder, shapes_file, processes=1, cache=shapes_cache)


def test_a_section_that_there_is_not(validation):
    with pytest.raises(KeyError, match="colours"):
        validation.section("color")
