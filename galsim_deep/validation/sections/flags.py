"""Stamps that could not be measured, or that are unusual."""

__all__ = ["Flags"]

from typing import Any

from ...measure.statistics import FLAGS
from ..galaxy import SAMPLES
from .base import Section


class Flags(Section):
    """How many stamps of each sample have each flag.

    Example, for a ``comparison`` with three generated galaxies that reach the edge of the stamp:

        >>> Flags(comparison).compute()["failures"]["truncated"]
        {'real': 0, 'generated': 3, 'parametric': 0}
    """

    name = "flags"

    def compute(self) -> dict[str, Any]:
        flags = self.comparison.measurements.flags
        return dict(failures={flag: {sample: int(flags[sample][flag].sum()) for sample in SAMPLES}
                              for flag in FLAGS})

    def page_variables(self) -> dict[str, Any]:
        return dict(flags=FLAGS)

    template = """
<h2>Stamps that could not be measured, or are unusual</h2>
<div class="scroll"><table>
<thead><tr><th>flag</th><th>real</th><th>generated</th><th>parametric</th></tr></thead><tbody>
{% for flag, counts in results.failures.items() %}
<tr><td>{{ flag }}</td><td>{{ counts.real }}</td><td>{{ counts.generated }}</td>
<td>{{ counts.parametric }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="note">Of {{ results.real.n }} stamps in each sample. A galaxy is compared in a statistic
if it could be measured in all three samples.
{% for flag, meaning in flags.items() %}<b>{{ flag }}</b>: {{ meaning }}. {% endfor %}
{% for reason, n in results.real.left_out.items() %}Galaxies left out beforehand, {{ reason }}:
{{ n }}. {% endfor %}</p>
"""
