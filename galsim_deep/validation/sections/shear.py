"""The response of measured shapes to gravitational shear."""

__all__ = ["Shear"]

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..estimates import median
from ..galaxy import SAMPLES
from .base import CardFigures, Section


class Shear(Section):
    """Median shear response of each sample (`galsim_deep.measure.shear`).

    Example, for a ``comparison`` of twenty galaxies whose measurements are made up:

        >>> responses = Shear(comparison).compute()["shear"]["all"]
        >>> responses["n"], responses["real"]["value"], responses["generated_minus_real"]["value"]
        (20, 0.75, 0.0)
    """

    name = "shear"

    def compute(self) -> dict[str, Any]:
        numbers = self.comparison.measurements.numbers
        finite = np.all([np.isfinite(numbers[f"response_{sample}"]) for sample in SAMPLES], axis=0)
        responses = {}
        for magnitude_bin in self.comparison.bins:
            use = magnitude_bin.rows & finite
            if not use.any():
                continue
            weights = self.comparison.weights[:, use]
            entry: dict[str, Any] = dict(n=int(use.sum()))
            real = numbers["response_real"][use]
            for sample in SAMPLES:
                response = numbers[f"response_{sample}"][use]
                entry[sample] = median(response, weights)
                if sample != "real":
                    entry[f"{sample}_minus_real"] = median(response - real, weights)
            entry["generated_profile"] = median(numbers["response_profile"][use], weights)
            responses[magnitude_bin.name] = entry
        return dict(shear=responses)

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        yield ("shear_response_minus_real",
               results["shear"].get("all", {}).get("generated_minus_real"))

    template = """
<h2>Shear response</h2>
<div class="scroll"><table><thead><tr><th>median response to shear</th><th>n</th><th>real</th>
<th>generated</th><th>parametric</th><th>generated<br>minus real</th>
<th>parametric<br>minus real</th></tr></thead><tbody>
{% for name, medians in results.shear.items() %}
<tr><td>{{ name }}</td><td>{{ medians.n }}</td><td>{{ medians.real | value }}</td>
<td>{{ medians.generated | value }}</td><td>{{ medians.parametric | value }}</td>
<td>{{ medians.generated_minus_real | value }}</td>
<td>{{ medians.parametric_minus_real | value }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="note">The response is the change of the measured g for an applied shear, by
metacalibration of the noisy stamps of all three samples alike. The last columns are medians of
paired differences.</p>"""
