"""How well a classifier over all statistics distinguishes the samples."""

__all__ = ["Classifier"]

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...measure.statistics import STATISTICS
from ..bins import Bin
from ..galaxy import SAMPLES
from ..settings import MIN_GALAXIES
from ..two_sample import auc, halves
from .base import CardFigures, Section, card_bins

SPLITS = 5
"""Random halves of the real sample that a classifier is tried on."""


class Classifier(Section):
    """A classifier that sees all statistics of a stamp (`galsim_deep.validation.two_sample.auc`).

    It is also tried on halves of the real sample, which differ by chance only.

    Example, for a ``comparison`` of twenty galaxies, which are too few for a classifier:

        >>> Classifier(comparison).compute()["classifier"]["all"]
        {'n': 20}
    """

    name = "classifier"

    def compute(self) -> dict[str, Any]:
        return dict(classifier={magnitude_bin.name: self._areas(magnitude_bin)
                                for magnitude_bin in self.comparison.bins})

    def _areas(self, magnitude_bin: Bin) -> dict[str, Any]:
        measurements, streams = self.comparison.measurements, self.comparison.streams
        use = magnitude_bin.rows & measurements.measured(
            *(statistic.name for statistic in STATISTICS))
        groups = measurements.source[use]
        areas: dict[str, Any] = dict(n=int(use.sum()))
        if use.sum() < MIN_GALAXIES or len(np.unique(groups)) < 2:
            return areas
        features = {
            sample: np.stack([measurements.values[sample][statistic.name][use]
                              for statistic in STATISTICS], 1) for sample in SAMPLES}
        for sample in SAMPLES[1:]:
            both = np.concatenate([features["real"], features[sample]])
            labels = np.arange(len(both)) < len(groups)
            areas[sample] = dataclasses.asdict(
                auc(both, labels, np.tile(groups, 2), streams.seed))
        splits = halves(groups, SPLITS, streams.sequence("halves for the classifier"))
        real = [auc(features["real"], first, groups, streams.seed).value for first in splits]
        areas["real_halves"] = dict(value=float(np.nanmean(real)), error=float(np.nanstd(real)))
        return areas

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        for suffix, name in card_bins(results):
            areas = results["classifier"].get(name, {})
            yield f"auc_{suffix}", areas.get("generated")
            yield f"auc_parametric_{suffix}", areas.get("parametric")

    summary = """
{% set areas = results.classifier["all"] %}
{% if areas.generated is defined %}
A classifier over all statistics distinguishes generated from real galaxies with an area under the
ROC curve of <b>{{ areas.generated | value }}</b>, and parametric from real ones with
{{ areas.parametric | value }} (0.5: by chance only; 1: always).
{% else %}There are too few galaxies for a classifier.
{% endif %}
"""

    template = """
<h2>Classifier</h2>
<div class="scroll"><table>
<thead><tr><th>area under the ROC curve</th><th>n</th><th>generated<br>against real</th>
<th>parametric<br>against real</th><th>halves of the<br>real sample</th></tr></thead>
<tbody>
{% for bin in results.bins %}
{% set areas = results.classifier[bin.name] %}
<tr><td>{{ bin.name }}</td><td>{{ areas.n }}</td><td>{{ areas.get("generated") | value }}</td>
<td>{{ areas.get("parametric") | value }}</td><td>{{ areas.get("real_halves") | value }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="note">Gradient-boosted trees that see all statistics of a stamp, in five-fold
cross-validation with all stamps of a source in one fold: 0.5 if they are right by chance only, 1 if
they are always right. The halves of the real sample differ by chance only.</p>
"""
