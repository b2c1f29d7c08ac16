"""Requirements: verdicts of numbers, and results that lack something."""

import math

import pytest

from galsim_deep.validation.requirements import REQUIREMENTS, Requirement, judged


def number(value, error=0.1):
    return dict(value=value, error=error)


@pytest.mark.parametrize(("values", "verdict"), [
    ([1.0], "met"), ([1.55], "within errors"), ([1.7], "not met"), ([1.0, 1.7], "not met"),
    ([math.nan, 1.0], "met"), ([math.nan], "unknown"), ([], "unknown"), ([1.0, 1.55],
                                                                       "within errors")])
def test_a_range(values, verdict):
    requirement = Requirement("a", "0.5 to 1.5", 0.5, 1.5, lambda results: results)
    assert judged(requirement, {str(i): number(v) for i, v in enumerate(values)}
                  ).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(0.19, "met"), (-0.19, "met"), (0.21, "not met")])
def test_a_difference_that_should_vanish(value, verdict):
    requirement = Requirement("a", "0", 0.0, 0.0, lambda results: dict(a=number(value)), True)
    assert judged(requirement, {}).verdict == verdict


def test_an_error_that_is_not_known():
    requirement = Requirement("a", "0 to 1", 0.0, 1.0, lambda results: results)
    assert judged(requirement, dict(a=number(1.01, math.nan))).verdict == "not met"


def test_results_that_lack_everything():
    assert {judged(requirement, {}).verdict for requirement in REQUIREMENTS} == {"unknown"}


def test_every_requirement_says_what_it_is():
    quantities = [requirement.quantity for requirement in REQUIREMENTS]
    assert len(set(quantities)) == len(quantities)
    assert all(requirement.required for requirement in REQUIREMENTS)
