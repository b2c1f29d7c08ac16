"""The headline: galaxies at their natural size, and what they should be like."""

__all__ = ["NaturalSizeSection"]

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures import Figure
from ..galaxy import SAMPLES
from ..natural_size import (
    BRIGHT,
    NaturalSample,
    compare_at_natural_size,
    null_test,
    samples_of_parts,
)
from ..requirements import REQUIREMENTS, judged
from ..size_range import measure_sizes
from ..tiles import Stretch, mosaic
from .base import CardFigures, Section

if TYPE_CHECKING:
    import matplotlib.figure

    from ..comparison import Comparison

COLUMNS = 12
"""Galaxies in a row of a sheet."""
ROWS = 5
"""Rows of galaxies on a sheet."""


class NaturalSizeSection(Section):
    """Real galaxies as they were observed, beside generated ones through the same PSF and noise.

    Only for the galaxies of the collection.

    Example, for a ``comparison`` with a data set:

        >>> NaturalSizeSection.applies_to(comparison)
        False
    """

    name = "natural size"

    @classmethod
    def applies_to(cls, comparison: "Comparison") -> bool:
        return comparison.galaxies.natural is not None

    def compute(self) -> dict[str, Any]:
        comparison = self.comparison
        natural = comparison.galaxies.natural
        assert natural is not None
        samples = samples_of_parts(
            comparison.measurements, natural, comparison.settings.bootstraps,
            comparison.streams.sequence("bootstrap at natural size"), comparison.streams.seed)
        sizes = None
        if comparison.card.column_of("half_light_radius") is not None:
            sizes = measure_sizes(comparison.module, natural.cosmos, comparison.streams.seed)
        parts = {sample.name: compare_at_natural_size(sample) for sample in samples}
        shared = {} if sizes is None else dict(size_range=sizes)
        checks = {name: [judged(requirement, results | shared) for requirement in REQUIREMENTS]
                  for name, results in parts.items()}
        rows = [dict(quantity=requirement.quantity, required=requirement.required,
                     verdict=next(iter(checks.values()))[number].verdict if checks else "unknown",
                     parts={name: dataclasses.asdict(of_part[number])
                            for name, of_part in checks.items()})
                for number, requirement in enumerate(REQUIREMENTS)]
        return dict(natural_size=parts, requirements=rows, **shared,
                    null_test=self._null_test({sample.name: sample for sample in samples}))

    @staticmethod
    def _null_test(samples: Mapping[str, NaturalSample]) -> dict[str, Any] | None:
        """Held-out real galaxies against the seen ones; None if there are not both."""
        if not {"held-out", "seen"} <= samples.keys():
            return None
        return null_test(samples["held-out"], samples["seen"])

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        natural = self.comparison.galaxies.natural
        assert natural is not None
        bright = natural.magnitudes < BRIGHT
        for name, rows in (("bright", bright), ("faint", ~bright)):
            chosen = np.flatnonzero(rows[:len(self.comparison.measurements.stamps["real"])])
            chosen = chosen[np.argsort(natural.magnitudes[chosen], kind="stable")]
            chosen = chosen[np.unique(np.linspace(
                0, len(chosen) - 1, min(COLUMNS * ROWS, len(chosen))).astype(int))]
            if len(chosen):
                yield Figure(
                    f"sheet_{name}", f"{name.capitalize()} galaxies, brightest first: real ones "
                    "(odd rows) above those that were generated for their columns (even rows), "
                    "through the same PSF, with noise of the same level.", self._sheet(chosen))

    def _sheet(self, chosen: np.ndarray) -> "matplotlib.figure.Figure":
        """Pairs of rows: real galaxies above generated ones."""
        measurements, galaxies = self.comparison.measurements, self.comparison.galaxies
        tiles, labels = [], []
        for first in range(0, len(chosen), COLUMNS):
            part = chosen[first:first + COLUMNS]
            pair: dict[str, list[np.ndarray]] = dict(real=[], generated=[])
            for n in part:
                real = measurements.stamps["real"][n]
                stretch = Stretch.of(real, galaxies.observation(int(n)).noise_sigma)
                for sample, row in pair.items():
                    row.append(stretch.image(measurements.stamps[sample][n]))
            for sample, row in pair.items():
                tiles.append(row + [np.ones((8, 8, 4))] * (COLUMNS - len(row)))
                labels.append(sample)
        return mosaic(tiles, labels)

    def page_variables(self) -> dict[str, Any]:
        return dict(samples=SAMPLES)

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        for row in results.get("requirements", []):
            for part, check in row["parts"].items():
                for name, number in check["measured"].items():
                    yield f"{row['quantity']}, {name} ({part})" if name else (
                        f"{row['quantity']} ({part})"), number

    summary = """
{% set met = results.requirements | selectattr("verdict", "equalto", "met") | list | length %}
At natural size, <b>{{ met }} of {{ results.requirements | length }}</b> requirements are met.
"""

    template = """
<h2>At natural size</h2>
<div class="scroll"><table><thead><tr><th>quantity</th><th>required</th>
{% for part, numbers in results.natural_size.items() %}
<th>{{ part }}<br><small>{{ numbers.n }} galaxies, {{ numbers.n_bright }} bright</small></th>
{% endfor %}</tr></thead><tbody>
{% for row in results.requirements %}
<tr><td>{{ row.quantity }}</td><td>{{ row.required }}</td>
{% for check in row.parts.values() %}
<td>{% for name, number in check.measured.items() %}{{ name }} {{ number | value }}<br>{% endfor %}
<span class="{{ dict(met="pass", unknown="too").get(check.verdict, "closer" if check.verdict ==
"within errors" else "fail") }}">{{ check.verdict }}</span></td>
{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
<p class="note">Real galaxies as they were observed, and generated ones for the same columns through
the same PSF, with the same pixels, noise and mask; errors are bootstrapped over sources. Galaxies
brighter than 22.5 are bright. “Unseen” are held-out galaxies and judges together. The documentation
says how each row is measured.{% if results.real.left_out %} Left out:
{% for reason, number in results.real.left_out.items() %}{{ number }} ({{ reason }})
{%- if not loop.last %}; {% endif %}{% endfor %}.{% endif %}</p>
{{ figures }}
<details><summary>Small-scale power by magnitude, size and survey</summary>
{% for part, numbers in results.natural_size.items() %}
<div class="scroll"><table><thead><tr><th>{{ part }}: over real</th><th>n</th>
{% set edges = numbers.power.bright.edges %}{% for n in range(edges | length - 1) %}
<th>generated<br>{{ edges[n] | number(2) }} to {{ edges[n + 1] | number(2) }}″</th>{% endfor %}
{% for n in range(edges | length - 1) %}
<th>parametric<br>{{ edges[n] | number(2) }} to {{ edges[n + 1] | number(2) }}″</th>{% endfor %}
</tr></thead><tbody>
{% for name, ratios in numbers.power.items() %}
<tr><td>{{ name }}</td><td>{{ ratios.n | join(", ") }}</td>
{% for sample in samples[1:] %}{% for ratio in ratios[sample] %}<td>{{ ratio | value }}</td>
{% endfor %}{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endfor %}</details>
<details><summary>Outer light, detections, Sersic index</summary>
{% for part, numbers in results.natural_size.items() %}
<div class="scroll"><table><thead><tr><th>{{ part }}</th><th>n</th>{% for sample in samples %}
<th>{{ sample }}</th>{% endfor %}<th>generated<br>over real</th></tr></thead><tbody>
{% for name, text in [("ring", "light at 2.5 to 3 half-light radii"),
  ("wings", "light beyond 4 half-light radii")] %}
{% set light = numbers.outer_light[name] %}
<tr><td>{{ text }}</td><td>{{ light.n }}</td>{% for sample in samples %}
<td>{{ light[sample] | value }}</td>{% endfor %}
<td>{{ light.generated_over_real | value }}</td></tr>
{% endfor %}
{% for survey, found in numbers.detections.items() %}
{% for name, text in [("found", "sources per bright galaxy"), ("shredded", "share shredded")] %}
<tr><td>{{ text }}, {{ survey }}</td><td>{{ found.n }}</td>{% for sample in samples %}
<td>{{ found[name][sample] | value }}</td>{% endfor %}
<td>{{ found[name].generated_over_real | value }}</td></tr>
{% endfor %}{% endfor %}
{% for name, text in [("share", "share with n &gt; 2.5"),
  ("correlation", "rank correlation of n with size")] %}
<tr><td>{{ text | safe }}</td><td>{{ numbers.sersic.n }}</td>{% for sample in samples %}
<td>{{ numbers.sersic[name][sample] | value }}</td>{% endfor %}<td></td></tr>
{% endfor %}
</tbody></table></div>
{% endfor %}</details>
<details><summary>Relations of the statistics with the columns</summary>
{% for part, numbers in results.natural_size.items() %}
<div class="scroll"><table><thead><tr><th>{{ part }}</th><th>n</th>{% for sample in samples %}
<th>{{ sample }}</th>{% endfor %}<th>generated<br>minus real</th></tr></thead><tbody>
{% for name, relation in numbers.relations.items() %}
{% for predictor, slopes in relation.slopes.items() %}
<tr><td>{{ name }}, slope with {{ predictor }}</td><td>{{ relation.n }}</td>
{% for sample in samples %}<td>{{ slopes[sample] | value }}</td>{% endfor %}
<td>{{ slopes.generated_minus_real | value }}</td></tr>
{% endfor %}
<tr><td>{{ name }}, scatter</td><td>{{ relation.n }}</td>{% for sample in samples %}
<td>{{ relation.scatter[sample] | value }}</td>{% endfor %}<td></td></tr>
{% endfor %}</tbody></table></div>
{% endfor %}</details>
<details><summary>Diversity, repeated structure, shear bias, classifier</summary>
{% for part, numbers in results.natural_size.items() %}
<div class="scroll"><table><thead><tr><th>{{ part }}</th><th>n</th>{% for sample in samples %}
<th>{{ sample }}</th>{% endfor %}</tr></thead><tbody>
{% for name in ["precision", "recall", "density", "coverage", "vendi"] %}
{% if name in numbers.diversity %}
<tr><td>{{ name }}</td><td>{{ numbers.diversity.n }}</td>{% for sample in samples %}
<td>{{ numbers.diversity[name][sample] | value }}</td>{% endfor %}</tr>
{% endif %}{% endfor %}
<tr><td>pairs alike, of all pairs</td><td></td>{% for sample in samples %}
<td>{{ numbers.pairs[sample].alike }} of {{ numbers.pairs[sample].pairs }}</td>{% endfor %}</tr>
{% for survey, bias in numbers.shear.items() %}
<tr><td>shear bias m, {{ survey }}</td><td>{{ bias.n }}</td>{% for sample in samples %}
<td>{{ bias[sample] | value }}</td>{% endfor %}</tr>
{% endfor %}
{% for name, areas in numbers.classifier.items() %}
<tr><td>classifier, {{ name }}</td><td>{{ areas.n }}</td>{% for sample in samples %}
<td>{{ areas.get(sample) | value }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endfor %}
<p class="note">The column “real” compares halves of the real galaxies.</p></details>
{% if results.size_range is defined %}
<details><summary>Sizes and edges</summary>
<div class="scroll"><table><thead><tr><th>half-light radius asked [arcsec]</th>
<th>measured over asked</th><th>share with light<br>at the edge</th><th>in range</th></tr></thead>
<tbody>
{% for row in results.size_range.sizes %}
<tr><td>{{ row.asked | number(2) }}</td><td>{{ row.ratio | value }}</td>
<td>{{ row.at_edge | number(2) }}</td><td>{{ "yes" if row.in_range else "no" }}</td></tr>
{% endfor %}</tbody></table></div></details>
{% endif %}
{% if results.null_test %}
<p class="note">Null test: held-out real galaxies over seen real ones, power
{% for ratio in results.null_test.power %}{{ ratio | value }}{% if not loop.last %}, {% endif %}
{% endfor %}; classifier {{ results.null_test.classifier | value }}.</p>
{% endif %}
"""
