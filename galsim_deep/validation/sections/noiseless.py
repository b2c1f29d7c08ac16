"""Generated galaxies without noise against real ones, where these are known without noise."""

__all__ = ["Noiseless"]

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...measure import structure
from ..bins import Bin
from ..estimates import UNKNOWN, median
from ..figures import Figure, new_figure
from ..two_sample import bootstrap_weights
from .base import CardFigures, Section

if TYPE_CHECKING:
    import matplotlib.figure


class Noiseless(Section):
    """Peak surface brightness and small-scale power behind the PSF, generated over real.

    The definitions are those of `galsim_deep.measure.structure`.

    Example, for a ``comparison`` whose generated galaxies have half the peak of the real ones:

        >>> ratios = Noiseless(comparison).compute()["noiseless"]["all"]
        >>> ratios["n"], ratios["peak"]["value"], ratios["power"][0]["value"]
        (20, 0.5, 0.5)
    """

    name = "noiseless"

    def compute(self) -> dict[str, Any]:
        if "peak_noiseless" not in self.comparison.measurements.numbers:
            return {}
        return dict(noiseless={magnitude_bin.name: self._ratios(magnitude_bin)
                           for magnitude_bin in self.comparison.bins})

    def _ratios(self, magnitude_bin: Bin) -> dict[str, Any]:
        numbers, groups = self.comparison.measurements.numbers, self.comparison.measurements.source
        seed = self.comparison.streams.sequence("bootstrap of noiseless stamps")
        peak, real_peak = numbers["peak_generated"], numbers["peak_noiseless"]
        power, real_power = numbers["power_generated"], numbers["power_noiseless"]
        measured = magnitude_bin.rows & np.isfinite(peak) & np.isfinite(real_peak)
        fitted = magnitude_bin.rows & np.all(np.isfinite(power) & np.isfinite(real_power), axis=1)
        ratios: dict[str, Any] = dict(
            n=int(measured.sum()), n_power=int(fitted.sum()),
            fits_failed={name: int(np.nansum(numbers[f"sersic_failed_{name}"][magnitude_bin.rows]))
                         for name in ("generated", "noiseless")},
            wavelengths=[float(edge) for edge in structure.EDGES],
            peak=dict(UNKNOWN), power=[])
        if measured.any():
            weights = bootstrap_weights(
                groups[measured], self.comparison.settings.bootstraps, seed)
            ratios["peak"] = median(peak[measured] / real_peak[measured], weights)
        if fitted.any():
            values, errors = structure.ratio_of_medians(
                power[fitted], real_power[fitted], groups[fitted], seed)
            ratios["power"] = [dict(value=float(value), error=float(error))
                               for value, error in zip(values, errors, strict=True)]
        return ratios

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        noiseless = results.get("noiseless", {})
        if any(ratios["power"] for ratios in noiseless.values()):
            yield Figure(
                "noiseless", "Small-scale power without noise after subtraction of the best Sersic "
                "profile. The shaded band is 0.7 to 1.3.", _draw_power(noiseless))

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        everything = results.get("noiseless", {}).get("all", {})
        yield "peak_over_noiseless", everything.get("peak")
        for number, power in enumerate(everything.get("power", [])):
            low, high = everything["wavelengths"][number:number + 2]
            yield f"power_over_noiseless_{low:.2f}_{high:.2f}_arcsec", power

    template = """
<h2>Without noise</h2>
{% if results.noiseless is defined %}
<div class="scroll"><table><thead><tr><th>generated over real</th><th>n</th>
<th>median peak<br>surface brightness</th>
{% set edges = results.noiseless["all"].wavelengths %}
<th>Sersic fits failed,<br>generated, real</th>
{% for n in range(edges | length - 1) %}
<th>small-scale power<br>{{ edges[n] | number(2) }} to {{ edges[n + 1] | number(2) }}″</th>
{% endfor %}</tr></thead><tbody>
{% for name, ratios in results.noiseless.items() %}
<tr><td>{{ name }}</td><td>{{ ratios.n }} ({{ ratios.n_power }})</td>
<td>{{ ratios.peak | value }}</td>
<td>{{ ratios.fits_failed.generated }}, {{ ratios.fits_failed.noiseless }}</td>
{% for power in ratios.power %}<td>{{ power | value }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
<p class="note">Both behind the PSF. Small-scale power is that of the residual of the best
Sersic profile, averaged over angle; the table shows ratios of medians. The number in brackets is
that of the galaxies for which both could be fitted.</p>
{% else %}<p>These galaxies are not known without noise.</p>{% endif %}
{{ figures }}
"""


def _draw_power(noiseless: Mapping[str, Any]) -> "matplotlib.figure.Figure":
    """Ratio of small-scale power against wavelength, a line for each bin."""
    figure = new_figure(6, 3.4)
    axis = figure.subplots()
    for i, (name, ratios) in enumerate(noiseless.items()):
        if not ratios["power"]:
            continue
        edges = np.array(ratios["wavelengths"])
        middle = np.sqrt(edges[1:] * edges[:-1]) * (1 + 0.015 * i)
        axis.errorbar(middle, [power["value"] for power in ratios["power"]],
                      [power["error"] for power in ratios["power"]], marker="o", ms=3, capsize=2,
                      color="k" if name == "all" else f"C{i}", label=name)
    axis.axhline(1, color="k", lw=0.6)
    axis.axhspan(0.7, 1.3, color="#eeeeee", zorder=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("wavelength [arcsec]", fontsize=8)
    axis.set_ylabel("small-scale power,\ngenerated / real", fontsize=8)
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure
