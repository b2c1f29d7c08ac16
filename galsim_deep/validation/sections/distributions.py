"""Figures of the distributions of the statistics."""

__all__ = ["Distributions"]

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures import COLOURS, LABELS, MAP, Figure, new_figure
from ..galaxy import SAMPLES
from .base import Section

if TYPE_CHECKING:
    import matplotlib.figure

SMALLEST = 1e-3
"""Smaller values of M, I and D are shown as this, on their logarithmic axes."""


class Distributions(Section):
    """Sizes, ellipticities and morphology of the three samples.

    Figures 6, 8 and 9 of Lanusse et al. (2021, arXiv:2008.03833).

    Example, for a ``comparison``:

        >>> means = dict.fromkeys(SAMPLES, dict(value=0.3, error=0.01))
        >>> results = dict(means=dict(all=dict(g=means)))
        >>> [figure.name for figure in Distributions(comparison).figures(results)]
        ['moments', 'mid', 'gini_m20', 'intensity_deviation']
    """

    name = "distributions"

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        yield Figure("moments", "Sizes and ellipticities by adaptive moments.",
                     self._moments(results))
        yield Figure("mid", "The statistics M, I and D.", self._mid())
        figure = self._planes("m20", "gini", logarithmic=False)
        if figure is not None:
            yield Figure("gini_m20", "Gini and M20. Disturbed galaxies are to the left.", figure)
        figure = self._planes("intensity", "deviation", logarithmic=True)
        if figure is not None:
            yield Figure("intensity_deviation", "I and D.", figure)

    def _moments(self, results: Mapping[str, Any]) -> "matplotlib.figure.Figure":
        """Histograms of size and |g|, with their means."""
        measurements = self.comparison.measurements
        figure = new_figure(9, 3.4)
        left, right = figure.subplots(1, 2)
        use = measurements.measured("size")
        values = {sample: measurements.values[sample]["size"][use] for sample in SAMPLES}
        low, high = 0.0, 1.0
        if use.any():
            low, high = np.quantile(np.concatenate(list(values.values())), [0.002, 0.995])
        for sample in SAMPLES:
            left.hist(values[sample], np.linspace(low, high, 31), histtype="step", lw=1.5,
                      color=COLOURS[sample], label=sample)
            left.axvline(values[sample].mean() if use.any() else 0, color=COLOURS[sample], ls=":")
        left.set_xlabel("determinant radius [arcsec]")
        left.set_ylabel("galaxies")
        left.legend(fontsize=8)
        use = measurements.measured("g")
        for number, sample in enumerate(SAMPLES):
            right.hist(measurements.values[sample]["g"][use], np.linspace(0, 0.8, 25),
                       histtype="step", lw=1.5, color=COLOURS[sample])
            mean = results["means"]["all"]["g"][sample]
            right.errorbar(mean["value"], 1.04 - 0.07 * number, xerr=mean["error"], fmt="o", ms=4,
                           color=COLOURS[sample], transform=right.get_xaxis_transform(),
                           clip_on=False)
        right.set_xlabel("|g|; points: means with errors")
        return figure

    def _mid(self) -> "matplotlib.figure.Figure":
        """Histograms of M, I and D."""
        measurements = self.comparison.measurements
        figure = new_figure(9, 3.2)
        axes = figure.subplots(1, 3)
        for axis, name in zip(axes, ("multimode", "intensity", "deviation"), strict=True):
            use = measurements.measured(name)
            for sample in SAMPLES:
                values = np.log10(np.clip(measurements.values[sample][name][use], SMALLEST, None))
                axis.hist(values, np.linspace(-3, 0, 31), histtype="step", lw=1.5,
                          color=COLOURS[sample], label=sample)
            axis.set_xlabel(f"log10 {LABELS[name]}  (≤ −3 in the first bin)", fontsize=8)
        axes[-1].legend(fontsize=7)
        return figure

    def _planes(self, x: str, y: str, logarithmic: bool) -> "matplotlib.figure.Figure | None":
        """The joint distribution of two statistics in each sample; None if none are known."""
        measurements = self.comparison.measurements
        use = measurements.measured(x, y)
        if not use.any():
            return None
        figure = new_figure(9, 3.2)
        axes = figure.subplots(1, 3, sharex=True, sharey=True)

        def values(sample: str, name: str) -> np.ndarray:
            numbers = measurements.values[sample][name][use]
            return np.log10(np.clip(numbers, SMALLEST, None)) if logarithmic else numbers

        limits = [np.quantile(np.concatenate([values(sample, name) for sample in SAMPLES]),
                              [0.005, 0.995]) for name in (x, y)]
        limits = [edges if edges[1] > edges[0] else edges + [-0.5, 0.5] for edges in limits]
        prefix = "log10 " if logarithmic else ""
        for axis, sample in zip(axes, ("parametric", "real", "generated"), strict=True):
            axis.hist2d(values(sample, x), values(sample, y), bins=28, range=limits, cmap=MAP)
            axis.set_title(sample, fontsize=9)
            axis.set_xlabel(prefix + LABELS[x], fontsize=8)
        axes[0].set_ylabel(prefix + LABELS[y], fontsize=8)
        if x == "m20":
            axes[0].invert_xaxis()  # shared: disturbed galaxies to the left, as in the literature
        return figure

    template = """
<h2>Distributions</h2>
{{ figures }}
"""
