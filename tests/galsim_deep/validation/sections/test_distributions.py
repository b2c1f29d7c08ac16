"""Figures of distributions, also where nothing is known."""

import numpy as np
import pytest

from galsim_deep.validation.sections.distributions import Distributions


@pytest.fixture
def section(random_measurements, card, make_comparison):
    return Distributions(make_comparison(card, random_measurements(50)))


@pytest.fixture
def results():
    mean = dict(value=0.2, error=0.01)
    return dict(means=dict(all=dict(g=dict(real=mean, generated=mean, parametric=mean))))


def test_figures(section, results):
    figures = {figure.name: figure.drawing for figure in section.figures(results)}
    assert list(figures) == ["moments", "mid", "gini_m20", "intensity_deviation"]
    titles = [axis.get_title() for axis in figures["gini_m20"].axes]
    assert titles == ["parametric", "real", "generated"]
    # Disturbed galaxies have a large M20, and are on the left.
    left, right = figures["gini_m20"].axes[2].get_xlim()
    assert left > right


def test_nothing_was_measured(section, results, tmp_path):
    for sample in section.comparison.measurements.values.values():
        for values in sample.values():
            values[:] = np.nan
    figures = list(section.figures(results))
    assert [figure.name for figure in figures] == ["moments", "mid"]
    for figure in figures:
        figure.drawing.savefig(tmp_path / "figure.png")
