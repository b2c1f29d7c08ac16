"""Whether the module follows its columns: measured size and magnitude against requested ones."""

__all__ = ["Conditioning", "differences"]

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...modules.card import Card, Column
from ..estimates import binned
from ..figures import COLOURS, Figure, new_figure
from ..measurements import Measurements
from .base import CardFigures, Section

QUANTITIES = dict(size="ln(measured / requested)", magnitude="measured - requested")
"""The difference that is computed for each of size and magnitude."""
KINDS = dict(noiseless="measured without noise, minus requested",
             observed="generated minus real, as observed")
"""The differences that are shown, and their titles."""


class Conditioning(Section):
    """Sizes and magnitudes of generated galaxies, minus those that the columns requested.

    Figure 7 of Lanusse et al. (2021, arXiv:2008.03833).

    Example, for a ``comparison`` whose generated galaxies are too faint by 0.5 mag:

        >>> magnitude = Conditioning(comparison).compute()["conditioning"]["magnitude"]
        >>> magnitude["column"], magnitude["noiseless"][0]["median"]
        ('mag_auto', 0.5)
    """

    name = "conditioning"

    def compute(self) -> dict[str, Any]:
        measurements, card = self.comparison.measurements, self.comparison.card
        conditioning: dict[str, Any] = {}
        for name, (column, changes) in differences(measurements, card).items():
            requested = measurements.columns[column.name]
            conditioning[name] = dict(
                column=column.name, unit=column.unit, quantity=QUANTITIES[name],
                **{kind: binned(requested, change, self.comparison.weights)
                   for kind, change in changes.items()})
        conditioning["outside_valid_range"] = {}
        for column in card.columns:
            low, high = column.valid_range
            requested = measurements.columns[column.name]
            conditioning["outside_valid_range"][column.name] = int(
                ((requested < low) | (requested > high)).sum())
        return dict(conditioning=conditioning)

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        names = [name for name in QUANTITIES if name in results["conditioning"]]
        if not names:
            return
        measurements = self.comparison.measurements
        changes = differences(measurements, self.comparison.card)
        figure = new_figure(4.6 * len(names), 6.4)
        axes = figure.subplots(2, len(names), squeeze=False)
        for j, name in enumerate(names):
            condition = results["conditioning"][name]
            requested = measurements.columns[condition["column"]]
            for i, (kind, title) in enumerate(KINDS.items()):
                axis = axes[i][j]
                _draw_difference(axis, requested, changes[name][1][kind], condition[kind][1:])
                axis.set_xlabel(f"{condition['column']} [{condition['unit']}]", fontsize=8)
                axis.set_ylabel("Δ ln size" if name == "size" else "Δ mag", fontsize=8)
                axis.set_title(f"{name}: {title}", fontsize=8)
                if name == "size":
                    _make_logarithmic(axis)
        yield Figure("conditioning", "Top: size and magnitude measured without noise, minus the "
                     "requested ones. Bottom: those of generated minus those of real galaxies, as "
                     "observed. Red: medians in bins, with errors.", figure)

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        for name in QUANTITIES:
            rows = results["conditioning"].get(name, {}).get("noiseless")
            if rows:
                yield f"{name}_bias", rows[0]["median"]
                yield f"{name}_scatter", rows[0]["scatter"]

    template = """
<h2>Conditioning</h2>
{% for key in ("size", "magnitude") if key in results.conditioning %}
{% set condition = results.conditioning[key] %}
<h3>{{ key }} ({{ condition.column }})</h3>
{% if condition.noiseless %}
<div class="scroll"><table><thead><tr>
<th>{{ condition.column }} [{{ condition.unit }}]</th><th>n</th>
<th>bias, noiseless</th><th>scatter</th></tr></thead><tbody>
{% for row in condition.noiseless %}
<tr><td>{{ row.low | number }} to {{ row.high | number }}{% if loop.first %} (all){% endif %}</td>
<td>{{ row.n }}</td>
<td>{{ {"value": row.median, "error": row.median_error} | value }}</td>
<td>{{ {"value": row.scatter, "error": row.scatter_error} | value }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
<p class="note">{{ condition.quantity }}: the bias is the median, and the scatter half the
distance from the 16th to the 84th percentile.
{% for kind, text in (("observed", "generated"), ("parametric", "parametric")) if condition[kind] %}
{% set row = condition[kind][0] %}
As observed with noise, {{ text }} minus real:
{{ {"value": row.median, "error": row.median_error} | value }}, scatter
{{ {"value": row.scatter, "error": row.scatter_error} | value }}.
{% endfor %}</p>
{% endfor %}
{% for column, n in results.conditioning.outside_valid_range.items() if n %}
<p class="note">{{ n }} galaxies are outside of the valid range of {{ column }}. They are compared
like the others.</p>
{% endfor %}
{{ figures }}
"""


def differences(measurements: Measurements, card: Card
                ) -> dict[str, tuple[Column, dict[str, np.ndarray]]]:
    """How far sizes and magnitudes are from those requested, galaxy by galaxy.

    Parameters:
        measurements:   The `Measurements`.
        card:           The card of the module.

    Returns:
        a dict of ``size``, as differences of the natural logarithm, and ``magnitude``; without
        those that are no column of the module.  Each is a pair of the column, and a dict of
        float64 [N], NaN if it could not be measured:
        ``noiseless``   measured on the generated galaxy without noise, minus requested,
        ``observed``    generated minus real, as observed,
        ``parametric``  parametric minus real, as observed.
    """
    values, numbers = measurements.values, measurements.numbers
    result = {}
    column = card.column_of("half_light_radius")
    with np.errstate(invalid="ignore", divide="ignore"):
        if column is not None:
            real = values["real"]["size"]
            result["size"] = column, dict(
                noiseless=np.log(numbers["measured_size"] / measurements.columns[column.name]),
                observed=np.log(values["generated"]["size"] / real),
                parametric=np.log(values["parametric"]["size"] / real))
        column = card.column_of("magnitude")
        if column is not None:
            real = values["real"]["amplitude"]
            result["magnitude"] = column, dict(
                noiseless=numbers["measured_magnitude"] - measurements.columns[column.name],
                observed=-2.5 * (values["generated"]["amplitude"] - real),
                parametric=-2.5 * (values["parametric"]["amplitude"] - real))
    return result


def _draw_difference(axis: Any, requested: np.ndarray, difference: np.ndarray,
                     bins: list[dict[str, Any]]) -> None:
    """Draw differences galaxy by galaxy, and their medians in bins."""
    axis.plot(requested, difference, ".", ms=2, alpha=0.35, color="#888888")
    axis.errorbar([0.5 * (row["low"] + row["high"]) for row in bins],
                  [row["median"] for row in bins], [row["median_error"] for row in bins],
                  color=COLOURS["generated"], marker="o", ms=3, capsize=2)
    axis.axhline(0, color="k", lw=0.6)
    finite = difference[np.isfinite(difference)]
    if len(finite):
        reach = max(float(np.quantile(np.abs(finite), 0.98)), 1e-3)
        axis.set_ylim(-1.2 * reach, 1.2 * reach)


def _make_logarithmic(axis: Any) -> None:
    """Make the x axis logarithmic, with plain numbers at 1, 2, 5, 10, ..."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axis.set_xscale("log")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ScalarFormatter())
