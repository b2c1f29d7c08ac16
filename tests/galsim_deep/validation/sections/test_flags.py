"""Flags are counted in each sample."""

from galsim_deep.measure.statistics import FLAGS
from galsim_deep.validation.sections.flags import Flags


def test_counts(random_measurements, card, make_comparison):
    measurements = random_measurements(5)
    measurements.flags["generated"]["truncated"][:3] = True
    failures = Flags(make_comparison(card, measurements)).compute()["failures"]
    assert set(failures) == set(FLAGS)
    assert failures["truncated"] == dict(real=0, generated=3, parametric=0)
