"""Statistic by statistic: means, distances to the real sample, and a mark."""

__all__ = ["Verdict", "judge"]

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...measure.statistics import STATISTICS
from ..bins import Bin
from ..estimates import Estimate, estimate, mean
from ..figures import COLOURS, Figure, new_figure
from ..galaxy import SAMPLES
from ..settings import MIN_GALAXIES, MIN_SOURCES, Settings
from ..two_sample import LEVEL, compare_samples, floor, halves, split_distances
from .base import CardFigures, Section, bin_suffix, card_bins

MORPHOLOGY_MEAN = ("intensity", "deviation", "gini", "m20")
"""The statistics whose distance ratios are averaged into one number."""
SPLITS = 500
"""Random halves of the real sample, for the floor."""
DETECTABLE = 0.1
"""A sample is large enough for a statistic if it would detect a difference of this size, in units
of the standard deviation of the statistic."""
MARKS = {
    "pass": "✓ pass", "closer": "~ closer", "fail": "✗ fail", "too small": "sample too small"}
"""The marks of `judge`, as the page shows them."""


class Verdict(Section):
    """Whether the distributions of the statistics are those of real galaxies.

    Example, for a ``comparison`` of twenty galaxies, which are too few to judge:

        >>> row = Verdict(comparison).compute()["verdict"]["all"][0]
        >>> row["statistic"], row["n"], row["mark"]
        ('size', 20, 'too small')
    """

    name = "verdict"

    def compute(self) -> dict[str, Any]:
        bins = self.comparison.bins
        means = {magnitude_bin.name: self._means(magnitude_bin) for magnitude_bin in bins}
        distances = {magnitude_bin.name: self._distances(magnitude_bin) for magnitude_bin in bins}
        return dict(
            usable={magnitude_bin.name: self._usable(magnitude_bin) for magnitude_bin in bins},
            means=means, distances=distances,
            verdict={name: _table(means[name], distances[name]) for name in means})

    def _usable(self, magnitude_bin: Bin) -> dict[str, Any]:
        """The share of stamps of which every statistic could be measured, in each sample.

        The ``mark`` is ``fail`` if generated stamps fail more often than real ones, by more than
        three errors and more than a hundredth.  Otherwise a model could pass on the galaxies that
        can be measured, although many cannot.
        """
        measurements = self.comparison.measurements
        complete = {
            sample: np.all(
                [np.isfinite(measurements.values[sample][statistic.name][magnitude_bin.rows])
                 for statistic in STATISTICS], axis=0).astype(float)
            for sample in SAMPLES}
        weights = self.comparison.weights[:, magnitude_bin.rows]
        lost = mean(complete["real"] - complete["generated"], weights)
        failed = lost["value"] > max(3 * lost["error"], 0.01)
        return dict({sample: mean(share, weights) for sample, share in complete.items()},
                    mark="fail" if failed else "pass",
                    compared=int(np.prod([complete[sample] for sample in SAMPLES], axis=0).sum()))

    def _means(self, magnitude_bin: Bin) -> dict[str, dict[str, Any]]:
        """Mean of each statistic in each sample, and those of generated and parametric over real.

        ``width`` is the standard deviation in the real sample.
        """
        measurements = self.comparison.measurements
        means = {}
        for statistic in STATISTICS:
            use = magnitude_bin.rows & measurements.measured(statistic.name)
            weights = self.comparison.weights[:, use]
            values = {sample: measurements.values[sample][statistic.name][use]
                      for sample in SAMPLES}
            entry: dict[str, Any] = dict(
                n=int(use.sum()),
                **{sample: mean(values[sample], weights) for sample in SAMPLES})
            if use.any():
                entry["width"] = float(np.std(values["real"]))
                with np.errstate(invalid="ignore", divide="ignore"):
                    for sample in SAMPLES[1:]:
                        ratio = weights @ values[sample] / (weights @ values["real"])
                        entry[f"{sample}_over_real"] = estimate(
                            values[sample].mean() / values["real"].mean(), ratio)
            means[statistic.name] = entry
        return means

    def _distances(self, magnitude_bin: Bin) -> dict[str, dict[str, Any]]:
        """Distances of generated and parametric to real, the floor, the ratio and the mark."""
        measurements, streams = self.comparison.measurements, self.comparison.streams
        distances: dict[str, dict[str, Any]] = {}
        samples_of_ratios = {}
        for statistic in STATISTICS:
            use = magnitude_bin.rows & measurements.measured(statistic.name)
            groups = measurements.source[use]
            if len(np.unique(groups)) < 2:
                continue
            real = measurements.values["real"][statistic.name][use]
            first = halves(groups, SPLITS, streams.sequence("halves", statistic.name))
            entry: dict[str, Any] = dict(
                n=int(use.sum()), sources=len(np.unique(groups)), width=float(real.std()),
                floor=floor(real, first))
            samples_of_w1 = {}
            for sample in SAMPLES[1:]:
                values = measurements.values[sample][statistic.name][use]
                ks, w1, samples_of_w1[sample] = compare_samples(
                    real, values, self.comparison.weights[:, use])
                entry[sample] = dict(ks=dataclasses.asdict(ks), w1=dataclasses.asdict(w1))
            with np.errstate(invalid="ignore", divide="ignore"):
                ratios = samples_of_w1["generated"] / samples_of_w1["parametric"]
                entry["ratio"] = estimate(np.float64(entry["generated"]["w1"]["value"])
                                          / entry["parametric"]["w1"]["value"], ratios)
                entry["ratio_ks"] = float(np.float64(entry["generated"]["ks"]["value"])
                                          / entry["parametric"]["ks"]["value"])
            entry["mark"] = judge(entry, self.comparison.settings)
            distances[statistic.name] = entry
            samples_of_ratios[statistic.name] = ratios
        entries = [distances[name] for name in MORPHOLOGY_MEAN if name in distances]
        if (len(entries) == len(MORPHOLOGY_MEAN)
                and min(entry["n"] for entry in entries) >= MIN_GALAXIES):
            ratio = estimate(
                float(np.mean([entry["ratio"]["value"] for entry in entries])),
                np.mean([samples_of_ratios[name] for name in MORPHOLOGY_MEAN], axis=0))
            distances["morphology_mean"] = dict(
                ratio=ratio, floor=self._mean_floor(magnitude_bin, distances))
        return distances

    def _mean_floor(self, magnitude_bin: Bin, distances: Mapping[str, dict[str, Any]]
                    ) -> tuple[float, ...]:
        """The mean distance ratio of a second sample of real galaxies: median and `LEVEL` quantile.

        All statistics are split alike, since they are correlated from galaxy to galaxy.
        """
        measurements = self.comparison.measurements
        use = magnitude_bin.rows & measurements.measured(*MORPHOLOGY_MEAN)
        first = halves(measurements.source[use], SPLITS,
                       self.comparison.streams.sequence("halves for the mean of ratios"))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = [split_distances(measurements.values["real"][name][use], first)[1]
                      / distances[name]["parametric"]["w1"]["value"] for name in MORPHOLOGY_MEAN]
            return tuple(float(q) for q in np.nanquantile(np.mean(ratios, axis=0), [0.5, LEVEL]))

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        rows = [row for row in results["verdict"]["all"] if row["ratio"]]
        if not rows:
            return
        distances = results["distances"]["all"]
        figure = new_figure(8, 0.32 * len(rows) + 1)
        axis = figure.subplots()
        for i, row in enumerate(rows):
            width = distances[row["statistic"]]["width"] or 1.0
            axis.barh(i, row["floor"][1] / width, color="#dddddd",
                      label="floor (real to real, 99 %)" if i == 0 else None)
            for sample, shift in [("generated", -0.15), ("parametric", 0.15)]:
                distance = row[f"{sample}_w1"]
                axis.errorbar(distance["value"] / width, i + shift, xerr=distance["error"] / width,
                              fmt="o", ms=4, color=COLOURS[sample],
                              label=sample if i == 0 else None)
        axis.set_yticks(range(len(rows)), [row["label"] for row in rows], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(left=0)
        axis.set_xlabel("Wasserstein-1 distance to the real sample / its standard deviation",
                        fontsize=8)
        axis.legend(fontsize=7)
        yield Figure("ratios", "Distance of each sample to the real one, for each statistic.",
                     figure)

    def page_variables(self) -> dict[str, Any]:
        return dict(marks=MARKS)

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        def over_real(name: str, statistic: str) -> Estimate | None:
            return results["means"][name][statistic].get("generated_over_real")

        yield "mean_g_over_real", over_real("all", "g")
        for magnitude_bin in results["bins"][1:]:
            yield (f"mean_g_over_real_{bin_suffix(magnitude_bin, results)}",
                   over_real(magnitude_bin["name"], "g"))
        yield "mean_size_over_real", over_real("all", "size")
        for suffix, name in card_bins(results):
            usable = results["usable"][name]
            real = usable["real"]["value"]
            yield f"usable_over_real_{suffix}", (
                usable["generated"]["value"] / real if real else None)
            morphology = results["distances"][name].get("morphology_mean")
            if morphology:
                yield f"morphology_distance_ratio_{suffix}", morphology["ratio"]
                yield f"morphology_distance_floor_{suffix}", morphology["floor"][1]

    summary = """
{% set usable = results.usable["all"] %}
Marks of the {{ results.verdict["all"] | length }} statistics:
{% for mark, rows in results.verdict["all"] | groupby("mark") %}
<span class="{{ mark.split()[0] }}">{{ marks[mark] }} <b>{{ rows | length }}</b></span>
{{- "." if loop.last else ", " }}
{% endfor %}
{% if results.real.sources < results.real.n %}
The stamps show only {{ results.real.sources }} different real galaxies. Another sample of
as few galaxies would also differ from this one. The errors and the floor include this scatter.
{% endif %}
All statistics could be measured in all three samples for {{ usable.compared }} of
{{ results.real.n }} galaxies: for a share of {{ usable.real | value }} of the real,
{{ usable.generated | value }} of the generated and {{ usable.parametric | value }} of the
parametric stamps (<span class="{{ usable.mark }}">{{ marks[usable.mark] }}</span>).
"""

    template = """
{% macro table(name) %}
<div class="scroll"><table>
<thead><tr><th>statistic</th><th class="mark">mark</th>
<th>distance ratio<br>generated /<br>parametric</th><th>real</th><th>generated</th>
<th>parametric</th><th>W1<br>generated<br><small>KS</small></th>
<th>W1<br>parametric<br><small>KS</small></th><th>floor,<br>99 %<br><small>KS</small></th>
<th>n</th></tr></thead>
<tbody>
{% for row in results.verdict[name] %}
<tr><td>{{ row.label }}{% if row.unit %} [{{ row.unit }}]{% endif %}</td>
<td class="mark {{ row.mark.split()[0] }}">{{ marks[row.mark] }}</td>
<td>{{ row.ratio | value }}</td><td>{{ row.real | value }}</td>
<td>{{ row.generated | value }}</td><td>{{ row.parametric | value }}</td>
<td>{{ row.generated_w1 | value }}<br><small>{{ row.generated_ks | value }}</small></td>
<td>{{ row.parametric_w1 | value }}<br><small>{{ row.parametric_ks | value }}</small></td>
<td>{{ (row.floor[1] if row.floor else None) | number }}<br>
<small>{{ (row.floor_ks[1] if row.floor_ks else None) | number }}</small></td>
<td>{{ row.n }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endmacro %}

<h2>Verdict</h2>
{{ table("all") }}
<p class="note">The columns “real”, “generated” and “parametric” are means, with errors by bootstrap
over sources. W1 is the Wasserstein-1 distance between the distributions of a statistic in a sample
and in the real one; the small number below it is the Kolmogorov-Smirnov distance (KS). The floor is
the 99th percentile of the distance between two samples of real galaxies of this size.
<b>pass</b>: the generated galaxies cannot be distinguished from real ones (the distance exceeds the
floor by no more than its error), in a sample that is large enough to do so; or their distance is at
most {{ results.settings.goal }} times that of the parametric ones.
<b>closer</b>: distinguishable, but closer to the real galaxies than the parametric ones by more
than the error.
<b>fail</b>: distinguishable, and not closer than the parametric galaxies by more than the error.
<b>sample too small</b>: the sample is too small to judge.</p>
{{ figures }}

<h2>By magnitude</h2>
<div class="scroll"><table>
<thead><tr><th></th><th colspan="2">generated over real</th>
<th colspan="2">distance ratio, mean<br>of I, D, Gini, M20</th></tr>
<tr><th>galaxies</th><th>mean |g|</th><th>mean det.<br>radius</th><th>generated /<br>parametric</th>
<th>real / parametric,<br>median (99 %)</th></tr></thead>
<tbody>
{% for bin in results.bins %}
{% set means = results.means[bin.name] %}
{% set mean = results.distances[bin.name].get("morphology_mean") %}
<tr><td>{{ bin.name }}</td><td>{{ means.g.get("generated_over_real") | value }}</td>
<td>{{ means["size"].get("generated_over_real") | value }}</td>
<td>{{ (mean.ratio if mean else None) | value }}</td>
<td>{% if mean %}{{ mean.floor[0] | number }} ({{ mean.floor[1] | number }}){% else %}–{% endif %}
</td></tr>
{% endfor %}
</tbody></table></div>
<p class="note">“Real / parametric” is the floor in units of the distance of the parametric fits:
the ratio for a second sample of real galaxies in place of the generated one.</p>
{% for bin in results.bins[1:] %}
<details><summary>{{ bin.name }} ({{ bin.n }} galaxies of {{ bin.sources }}
source{{ "" if bin.sources == 1 else "s" }})</summary>
{{ table(bin.name) }}
</details>
{% endfor %}
"""


def judge(distance: Mapping[str, Any], settings: Settings) -> str:
    """The mark of a statistic.

    A sample is distinguishable from the real one if its distance exceeds the floor by more than the
    error of the distance.  (Distances are uncertain because of rare, disturbed galaxies.)

    * ``too small``: fewer than `MIN_GALAXIES` galaxies or `MIN_SOURCES` sources; or the generated
      sample is not distinguishable, and the sample is too small to judge.
    * ``pass``: not distinguishable, in a sample that is large enough; or distinguishable, but at
      most ``goal`` times as far from the real sample as the parametric one.
    * ``closer``: distinguishable, but closer than the parametric sample by more than the error.
    * ``fail``: distinguishable, and not closer than the parametric sample by more than the error.

    A sample is large enough if the floor is at most a tenth of the standard deviation of the
    statistic, or if the parametric sample is distinguishable and farther than the generated one by
    more than the error.

    Parameters:
        distance:   An entry of ``distances``: ``n``, ``sources``, ``width``, ``floor``,
                    ``generated``, ``parametric`` and ``ratio``.
        settings:   Gives the goal.

    Returns:
        one of `MARKS`.
    """
    if distance["n"] < MIN_GALAXIES or distance["sources"] < MIN_SOURCES:
        return "too small"
    limit, ratio = distance["floor"]["w1"][1], distance["ratio"]
    distinguishable = {
        sample: distance[sample]["w1"]["value"] - distance[sample]["w1"]["error"] > limit
        for sample in SAMPLES[1:]}
    closer = ratio["value"] + ratio["error"] < 1
    if not distinguishable["generated"]:
        large_enough = limit <= DETECTABLE * distance["width"] or (
            distinguishable["parametric"] and closer)
        return "pass" if large_enough else "too small"
    if ratio["value"] <= settings.goal:
        return "pass"
    return "closer" if closer else "fail"


def _table(means: Mapping[str, Any], distances: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The table of the verdict for one bin: one row for each statistic."""
    rows = []
    for statistic in STATISTICS:
        distance, entry = distances.get(statistic.name), means[statistic.name]
        rows.append(dict(
            statistic=statistic.name, label=statistic.label, unit=statistic.unit,
            n=entry["n"], **{sample: entry[sample] for sample in SAMPLES},
            ratio=distance and distance["ratio"], floor=distance and distance["floor"]["w1"],
            floor_ks=distance and distance["floor"]["ks"],
            **{f"{sample}_{kind}": distance and distance[sample][kind]
               for sample in SAMPLES[1:] for kind in ("w1", "ks")},
            mark=distance["mark"] if distance else "too small"))
    return rows
