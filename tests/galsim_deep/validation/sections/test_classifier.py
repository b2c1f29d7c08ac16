"""The classifier, on samples that are alike and on samples that are not.

Real galaxies and parametric fits are classified in ``test_verdict.py``.
"""

import numpy as np
import pytest

from galsim_deep.measure.statistics import STATISTICS
from galsim_deep.validation.sections.classifier import Classifier
from galsim_deep.validation.settings import MIN_GALAXIES


@pytest.fixture
def sample():
    """``sample(seed, shift)``: normal numbers, those of the last statistic shifted."""

    def draw(seed, shift=0.0, count=120):
        numbers = np.random.default_rng(seed).normal(size=(len(STATISTICS), count))
        numbers[-1] += shift
        return {statistic.name: row for statistic, row in zip(STATISTICS, numbers, strict=True)}

    return draw


@pytest.mark.long
def test_areas(sample, make_measurements, make_comparison, without_magnitude):
    measurements = make_measurements(sample(1), sample(2), sample(3, shift=3.0))
    section = Classifier(make_comparison(without_magnitude, measurements))
    results = dict(section.compute(), bins=[dict(name="all")], settings=dict(bright=23.0))
    areas = results["classifier"]["all"]
    assert areas["n"] == 120
    assert abs(areas["generated"]["value"] - 0.5) < 4 * areas["generated"]["error"]
    assert areas["parametric"]["value"] > 0.9
    assert 0.2 < areas["real_halves"]["value"] < 0.8
    figures = dict(section.card_figures(results))
    assert figures == dict(auc_all=areas["generated"], auc_parametric_all=areas["parametric"])


def test_too_few_galaxies(random_measurements, make_comparison, without_magnitude):
    measurements = random_measurements(MIN_GALAXIES - 1)
    areas = Classifier(make_comparison(without_magnitude, measurements)).compute()
    assert areas == dict(classifier=dict(all=dict(n=MIN_GALAXIES - 1)))
