"""What the galaxies of a module should be like at their natural size, and whether they are."""

__all__ = ["Check", "Requirement", "REQUIREMENTS", "judged"]

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from .estimates import Estimate

WITHIN = 2.0
"""A difference that should vanish may have this many errors."""

Results = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Requirement:
    """A quantity and the range that it should be in.

    Attributes:
        quantity:   What is measured, for people.
        required:   The range, for people.
        low, high:  The range.
        measured:   Finds the numbers in the results of a part of the collection
                    (`natural_size.compare_at_natural_size`), by what they are of; the results also
                    have ``size_range``.
        vanishes:   Whether the quantity is a difference that should be zero within its errors.

    Example:

        >>> wings = Requirement("wings", "0.9 to 1.1", 0.9, 1.1, lambda results: results["wings"])
        >>> judged(wings, dict(wings={"": dict(value=1.0, error=0.1)})).verdict
        'met'
    """

    quantity: str
    required: str
    low: float
    high: float
    measured: Callable[[Results], Mapping[str, Estimate]]
    vanishes: bool = False


@dataclasses.dataclass(frozen=True)
class Check:
    """A requirement and what was measured.

    Attributes:
        quantity:   What is measured.
        required:   What it should be.
        measured:   {of what: value and error}.
        verdict:    ``met``, ``not met``, ``within errors`` (outside of the range by less than an
                    error) or ``unknown``; the worst of several numbers.

    Example:

        >>> Check("wings", "0.9 to 1.1", {}, "unknown").verdict
        'unknown'
    """

    quantity: str
    required: str
    measured: Mapping[str, Estimate]
    verdict: str


def judged(requirement: Requirement, results: Results) -> Check:
    """Compare the numbers of a part of the collection with a requirement.

    Example:

        >>> positive = Requirement("sign", "positive", 0.0, math.inf, lambda results: results)
        >>> judged(positive, dict(a=dict(value=1.0, error=0.1))).verdict
        'met'
        >>> judged(positive, dict(a=dict(value=-1.0, error=0.1))).verdict
        'not met'
    """
    try:
        measured = requirement.measured(results)
    except KeyError:  # too few galaxies to measure it
        measured = {}
    order = ("unknown", "not met", "within errors", "met")
    verdicts = [_verdict(requirement, number) for number in measured.values()]
    # Numbers that are not known, as in bins without galaxies, do not hide the others.
    known = [verdict for verdict in verdicts if verdict != "unknown"]
    return Check(requirement.quantity, requirement.required, measured,
                 min(known, key=order.index) if known else "unknown")


def _verdict(requirement: Requirement, number: Estimate) -> str:
    value, error = number["value"], number["error"]
    if value is None or not math.isfinite(value):
        return "unknown"
    error = error if math.isfinite(error) else 0.0
    if requirement.vanishes:
        return "met" if abs(value) <= WITHIN * error else "not met"
    if requirement.low <= value <= requirement.high:
        return "met"
    near = requirement.low - error <= value <= requirement.high + error
    return "within errors" if near else "not met"


def _power(magnitude: str, numbers: tuple[int, ...]) -> Callable[[Results], dict[str, Estimate]]:
    def measured(results: Results) -> dict[str, Estimate]:
        power = results["power"][magnitude]
        edges = power["edges"]
        return {f"{edges[n]:.2f} to {edges[n + 1]:.2f}″": power["generated"][n] for n in numbers}

    return measured


def _found(name: str) -> Callable[[Results], dict[str, Estimate]]:
    def measured(results: Results) -> dict[str, Estimate]:
        found = results["detections"]["hst"][name]
        return {"over real": found["generated_over_real"]}

    return measured


def _sizes(results: Results) -> dict[str, Estimate]:
    ratios = [row["ratio"] for row in results["size_range"]["sizes"]
              if math.isfinite(row["ratio"]["value"])]
    return {"smallest": dict(min(ratios, key=lambda ratio: ratio["value"]), error=0.0),
            "largest": dict(max(ratios, key=lambda ratio: ratio["value"]), error=0.0)}


def _over_real(name: str) -> Callable[[Results], dict[str, Estimate]]:
    """A measure of diversity over that between real galaxies."""
    def measured(results: Results) -> dict[str, Estimate]:
        generated, real = (results["diversity"][name][sample] for sample in ("generated", "real"))
        ratio = generated["value"] / real["value"]
        return {"over real": dict(value=ratio, error=generated["error"] / real["value"])}

    return measured


def _classifier(choice: str) -> Callable[[Results], dict[str, Estimate]]:
    return lambda results: {"generated": results["classifier"][choice]["generated"]}


REQUIREMENTS = (
    Requirement("small-scale power over real, mag < 22.5, finest", "0.4 to 1.6", 0.4, 1.6,
                _power("bright", (0,))),
    Requirement("small-scale power over real, mag < 22.5", "0.6 to 1.5", 0.6, 1.5,
                _power("bright", (1, 2, 3))),
    Requirement("small-scale power over real, fainter", "0.7 to 1.4", 0.7, 1.4,
                _power("faint", (0, 1, 2, 3))),
    Requirement("sources found per bright galaxy, HST resolution", "0.8 to 1.2 of real", 0.8, 1.2,
                _found("found")),
    Requirement("share of bright galaxies that are shredded, HST resolution", "0.8 to 1.2 of real",
                0.8, 1.2, _found("shredded")),
    Requirement("light at 2.5 to 3 half-light radii", "0.9 to 1.1 of real", 0.9, 1.1,
                lambda results: {"over real": results["outer_light"]["ring"][
                    "generated_over_real"]}),
    Requirement("galaxies with light above a tenth of the noise of COSMOS at the edge of the stamp",
                "0", 0.0, 0.0, lambda results: {"share": dict(
                    value=results["size_range"]["at_edge"], error=0.0)}),
    Requirement("half-light radius, measured over asked, 0.05 to 5″", "0.98 to 1.02", 0.98, 1.02,
                _sizes),
    Requirement("mean |g| over real", "0.95 to 1.05", 0.95, 1.05, lambda results: {
        f"mag {row['low']:g} to {row['high']:g}": row["generated"]
        for row in results["ellipticity"]}),
    Requirement("share with n > 2.5, minus real", "0 within errors", 0.0, 0.0,
                lambda results: {"": results["sersic"]["share"]["generated_minus_real"]}, True),
    Requirement("rank correlation of n with size, minus real", "0 within errors", 0.0, 0.0,
                lambda results: {"": results["sersic"]["correlation"]["generated_minus_real"]},
                True),
    Requirement("change from z 0.3 to 2 at fixed magnitude and size, minus real",
                "0 within errors", 0.0, 0.0, lambda results: {
                    label: results["relations"][name]["change_with_redshift"][
                        "generated_minus_real"]
                    for label, name in (("C", "concentration"), ("Gini", "gini"))}, True),
    Requirement("coverage, over that of real by real", "at least 0.93", 0.93, math.inf,
                _over_real("coverage")),
    Requirement("recall, over that of real by real", "at least 0.94", 0.94, math.inf,
                _over_real("recall")),
    Requirement("very smooth and very structured galaxies over real", "0.7 to 1.4", 0.7, 1.4,
                lambda results: {name: results["extremes"][name]
                                 for name in ("smooth", "structured")}),
    Requirement("pairs alike beyond 0.9, over real", "below 2", 0.0, 2.0,
                lambda results: {"": results["pairs"]["generated_over_real"]}),
    Requirement("classifier, generated against real, all", "at most 0.60", 0.0, 0.60,
                _classifier("all")),
    Requirement("classifier, generated against real, mag < 22.5", "at most 0.62", 0.0, 0.62,
                _classifier("bright")),
    Requirement("classifier, generated against real, faint COSMOS", "at most 0.58", 0.0, 0.58,
                _classifier("faint COSMOS")),
    Requirement("shear bias m, generated minus real", "0 within errors", 0.0, 0.0,
                lambda results: {survey: numbers["generated_minus_real"]
                                 for survey, numbers in results["shear"].items()}, True),
)
"""The requirements, in the order of the report."""
