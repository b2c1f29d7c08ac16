"""Encode and decode: how well the module can represent real galaxies."""

__all__ = ["Reconstruction"]

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bins import Bin
from ..estimates import mean, median
from ..figures import Figure, new_figure
from .base import CardFigures, Section, bin_suffix, card_bins
from .samples import stamp_grid

if TYPE_CHECKING:
    import matplotlib.figure


class Reconstruction(Section):
    """Chi-square per pixel of reconstructions, beside that of the parametric fits.

    Figure 5 of Lanusse et al. (2021, arXiv:2008.03833).

    Example, for a ``comparison`` with stamps of 32 pixels, and a module that encodes 128 pixels:

        >>> print(Reconstruction(comparison).compute()["no_reconstruction"])
        The module acs_flow_vae encodes stamps of 128 pixels of 0.03 arcsec; these are 32 of 0.03.
    """

    name = "reconstruction"

    def compute(self) -> dict[str, Any]:
        comparison = self.comparison
        numbers: dict[str, Any] = {}
        if comparison.no_reconstruction:
            numbers["no_reconstruction"] = comparison.no_reconstruction
        if "chi2_reconstructed" in comparison.measurements.numbers:
            numbers["reconstruction"] = {
                magnitude_bin.name: self._chi_squares(magnitude_bin)
                for magnitude_bin in comparison.bins}
        return numbers

    def _chi_squares(self, magnitude_bin: Bin) -> dict[str, Any]:
        """Chi-square per pixel of reconstruction and parametric fit.

        A reconstruction that is not finite or has no light has no chi-square; it counts as not
        better than the fit.  If the true profile is known, it is compared with the fit in the
        same way: a fit follows the noise too, so that for faint galaxies even the true profile is
        not better.
        """
        numbers = self.comparison.measurements.numbers
        use = magnitude_bin.rows & np.isfinite(numbers["chi2_parametric"])
        weights = self.comparison.weights[:, use]
        reconstructed = numbers["chi2_reconstructed"][use]
        fit = numbers["chi2_parametric"][use]
        noiseless = {}
        if "chi2_noiseless" in numbers:
            true = numbers["chi2_noiseless"][use]
            better = np.where(np.isfinite(true), true < fit, np.nan)
            noiseless = dict(noiseless=median(true, weights),
                             noiseless_better=mean(better, weights))
        return dict(
            **noiseless,
            n=int(use.sum()), reconstructed=median(reconstructed, weights),
            parametric=median(fit, weights), mean_reconstructed=mean(reconstructed, weights),
            mean_parametric=mean(fit, weights),
            better=mean((reconstructed < fit).astype(float), weights),
            bulge_and_disc=float(numbers["bulge_and_disc"][use].mean()) if use.any() else None,
            failed=int((~np.isfinite(reconstructed)).sum()),
            fits_failed=int(numbers["fit_failed"][use].sum()))

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        figure = self._stamps()
        if figure is not None:
            yield Figure(
                "reconstructions", "Real galaxies, their reconstructions by encode and decode, "
                "their parametric fits, and the residuals of both in units of the noise (-6 to 6).",
                figure)
        figure = self._scatter()
        if figure is not None:
            yield Figure(
                "reconstruction_chi2", "Chi-square of each galaxy. Below the line the "
                "reconstruction is better than the parametric fit.", figure)

    def _stamps(self) -> "matplotlib.figure.Figure | None":
        """Stamps of reconstructions and fits; None if there are none."""
        stamps = self.comparison.measurements.stamps
        if "model_reconstructed" not in stamps:
            return None
        names = ("real", "model_reconstructed", "model_parametric")
        rows: list = [(stamps[name].__getitem__, False) for name in names]
        rows += [(lambda n, name=name: stamps["real"][n] - stamps[name][n], True)
                 for name in names[1:]]
        return stamp_grid(self.comparison, rows, [
            "real", "reconstructed", "parametric", "residual of\nreconstructed",
            "residual of\nparametric"])

    def _scatter(self) -> "matplotlib.figure.Figure | None":
        """Chi-square of reconstruction against that of the fit; None if there are none."""
        numbers = self.comparison.measurements.numbers
        if "chi2_reconstructed" not in numbers:
            return None
        reconstructed, fit = numbers["chi2_reconstructed"], numbers["chi2_parametric"]
        positive = (np.isfinite(reconstructed) & np.isfinite(fit)
                    & (reconstructed > 0) & (fit > 0))
        if not positive.any():
            return None
        reconstructed, fit = reconstructed[positive], fit[positive]
        figure = new_figure(4.4, 4)
        axis = figure.subplots()
        column, magnitudes = self.comparison.card.column_of("magnitude"), self.comparison.magnitudes
        if column is not None and magnitudes is not None:
            points = axis.scatter(fit, reconstructed, s=5, c=magnitudes[positive], cmap="viridis")
            figure.colorbar(points, label=f"{column.name} [{column.unit}]")
        else:
            axis.scatter(fit, reconstructed, s=5)
        reach = [0.9, max(1.5, float(max(reconstructed.max(), fit.max())))]
        axis.plot(reach, reach, color="k", lw=0.6)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("chi-square per pixel, parametric fit", fontsize=8)
        axis.set_ylabel("chi-square per pixel, encode and decode", fontsize=8)
        return figure

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        if "reconstruction" not in results:
            return
        for suffix, name in card_bins(results):
            numbers = results["reconstruction"][name]
            yield f"chi2_reconstructed_{suffix}", numbers["reconstructed"]
            yield f"reconstruction_better_{suffix}", numbers["better"]
            yield f"noiseless_better_{suffix}", numbers.get("noiseless_better")
        for magnitude_bin in results["bins"]:
            # The chi-square of fainter galaxies is close to 1 for any model.
            high = magnitude_bin["high"]
            if high is not None and high < results["settings"]["bright"]:
                yield (f"chi2_reconstructed_{bin_suffix(magnitude_bin, results)}",
                       results["reconstruction"][magnitude_bin["name"]]["reconstructed"])

    template = """
<h2>Reconstruction</h2>
{% if results.reconstruction is defined %}
<div class="scroll"><table><thead><tr><th>median chi-square per pixel</th><th>n</th>
<th>encode and decode</th><th>parametric fit</th><th>share better<br>than the fit</th>
{% if "noiseless" in results.reconstruction["all"] %}
<th>without<br>noise</th><th>share of those<br>better than<br>the fit</th>
{% endif %}<th>fits with<br>bulge and disc</th><th>failed,<br>decoded, fit</th></tr></thead><tbody>
{% for name, numbers in results.reconstruction.items() %}
<tr><td>{{ name }}</td><td>{{ numbers.n }}</td><td>{{ numbers.reconstructed | value }}</td>
<td>{{ numbers.parametric | value }}</td><td>{{ numbers.better | value }}</td>
{% if "noiseless" in numbers %}
<td>{{ numbers.noiseless | value }}</td><td>{{ numbers.noiseless_better | value }}</td>
{% endif %}
<td>{{ numbers.bulge_and_disc | number }}</td>
<td>{{ numbers.failed }}, {{ numbers.fits_failed }}</td></tr>
{% endfor %}
</tbody></table></div>
{% else %}<p>There are no reconstructions. {{ results.no_reconstruction }}</p>{% endif %}
{{ figures }}
"""
