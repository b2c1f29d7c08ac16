"""How the report was made: module, galaxies, seed and software."""

import jinja2
import pytest

from galsim_deep.validation.sections.provenance import Provenance


def test_the_page_says_how_the_report_was_made(random_measurements, card, make_comparison):
    section = Provenance(make_comparison(card, random_measurements(3)))
    assert section.compute() == {} and list(section.figures({})) == []
    results = dict(
        module=dict(name="tiny", version="0.0.1", family="none", saved_model_sha256="f00"),
        real=dict(name="stamps.h5", stamp_size=[32, 48], pixel_scale=[0.03]),
        settings=dict(seed=17), galsim_deep="0.4", galsim="2.7")
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(section.template)
    page = template.render(results=results)
    for fact in ("tiny 0.0.1", "f00", "stamps.h5", "32 to 48 pixels", "\n0.03″", "<dd>17</dd>",
                 "0.4", "2.7"):
        assert fact in page


@pytest.mark.long
def test_every_report_has_its_entries(shapes_validation):
    """The template needs nothing that a report could lack."""
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        Provenance.template)
    results = shapes_validation.results
    assert f"<dd>{results['settings']['seed']}</dd>" in template.render(results=results)
