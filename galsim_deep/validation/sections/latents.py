"""The latents of encoded stamps, real and generated."""

__all__ = ["Latents", "PosteriorSamples", "most_informative"]

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures import COLOURS, Figure, new_figure
from ..generate import BLOCK
from .base import Section

if TYPE_CHECKING:
    import matplotlib.figure

    from ..comparison import Comparison

COUNT = 5
"""Latents that are shown."""


@dataclasses.dataclass(frozen=True)
class PosteriorSamples:
    """One draw from the posterior of each stamp, for the most informative latents.

    Attributes:
        which:      Their indices among all latents of the encoder, most informative first, int [c].
        real:       Float32 [K, c]: of the real stamps that were kept.
        generated:  The same of the generated stamps.

    Example, two of the latents of four stamps:

        >>> mean, scale = np.arange(12.0).reshape(4, 3), np.array([4, 1, 2]) * np.ones((4, 3))
        >>> scale[0] *= 0.5
        >>> which = most_informative(mean, scale, count=2)
        >>> samples = PosteriorSamples(which, real=mean[:, which], generated=mean[:, which])
        >>> samples.which, samples.real.shape
        (array([1, 2]), (4, 2))
    """

    which: np.ndarray
    real: np.ndarray
    generated: np.ndarray


class Latents(Section):
    """A corner plot of the most informative latents, for modules that encode.

    Figure 4 of Lanusse et al. (2021, arXiv:2008.03833).

    Example, for a ``comparison`` with galaxies that the module cannot encode:

        >>> Latents.applies_to(comparison)
        False
    """

    name = "latents"

    @classmethod
    def applies_to(cls, comparison: "Comparison") -> bool:
        return comparison.reconstructor is not None

    @functools.cached_property
    def samples(self) -> PosteriorSamples:
        """The latents of the stamps that were kept.

        The encoder determines the number of latents, which may differ from the number of random
        numbers that the module takes.
        """
        real = self._encoded("real")
        which = most_informative(*real)
        posteriors = [tuple(part[:, which] for part in real), self._encoded("generated", which)]
        drawn = []
        for number, (mean, scale) in enumerate(posteriors):
            rng = self.comparison.streams.generator("posterior samples", number)
            drawn.append(mean + scale * rng.standard_normal(mean.shape, np.float32))
        return PosteriorSamples(which, *drawn)

    def _encoded(self, sample: str, which: np.ndarray | slice = slice(None)
                 ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of some latents of the stamps of a sample, each float32 [K, c].

        Stamps are encoded in blocks, since there may be thousands of latents.
        """
        comparison = self.comparison
        assert comparison.reconstructor is not None
        stamps = comparison.measurements.stamps[sample]
        means, scales = [], []
        for first in range(0, len(stamps), BLOCK):
            mean, scale = comparison.reconstructor.encode([
                comparison.units.to_module(comparison.galaxies.observation(first + n), stamp)
                for n, stamp in enumerate(stamps[first:first + BLOCK])])
            means.append(mean[:, which])
            scales.append(scale[:, which])
        return np.concatenate(means), np.concatenate(scales)

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        real, generated = self.samples.real, self.samples.generated
        finite = np.isfinite(real).all(axis=1) & np.isfinite(generated).all(axis=1)
        if finite.sum() >= 2:
            yield Figure(
                "latents", "Latents of encoded stamps: those five that distinguish galaxies best, "
                "the most informative one first.", self._corner_plot(finite))

    def _corner_plot(self, finite: np.ndarray) -> "matplotlib.figure.Figure":
        """Pairs of latents, real below and generated above the diagonal.

        Parameters:
            finite:     The galaxies to show, bool [K].
        """
        which = self.samples.which
        real, generated = self.samples.real[finite], self.samples.generated[finite]
        colours: dict[str, Any] = {}
        if self.comparison.magnitudes is not None:
            colours = dict(c=self.comparison.magnitudes[:len(finite)][finite], cmap="viridis")
        figure = new_figure(8, 7.5)
        count = len(which)
        axes = figure.subplots(count, count, squeeze=False)
        limits = np.quantile(np.concatenate([real, generated]), [0.005, 0.995], axis=0).T
        points = None
        for i in range(count):
            for j in range(count):
                axis = axes[i][j]
                axis.tick_params(labelsize=6)
                if i == j:
                    edges = np.linspace(limits[i][0], limits[i][1], 25)
                    for sample, values in [("real", real), ("generated", generated)]:
                        axis.hist(values[:, i], edges, histtype="step", color=COLOURS[sample],
                                  label=sample)
                    axis.set_yticks([])
                    if i == 0:
                        axis.legend(fontsize=5, loc="upper left", frameon=False)
                else:
                    values = real if i > j else generated
                    points = axis.scatter(values[:, j], values[:, i], s=3, **colours)
                    axis.set_ylim(*limits[i])
                axis.set_xlim(*limits[j])
                if i == count - 1:
                    axis.set_xlabel(f"latent {which[j]}", fontsize=7)
                if j == 0 and i > 0:
                    axis.set_ylabel(f"latent {which[i]}", fontsize=7)
        column = self.comparison.card.column_of("magnitude")
        if points is not None and column is not None:
            figure.colorbar(points, ax=axes, label=f"{column.name} [{column.unit}]", shrink=0.6)
        figure.suptitle("encoded stamps: real (lower left), generated (upper right)", fontsize=9)
        return figure

    template = """
<h2>Latents</h2>
{{ figures }}
"""


def most_informative(mean: np.ndarray, scale: np.ndarray, count: int = COUNT) -> np.ndarray:
    """The latents that distinguish galaxies best.

    They are those with the smallest ratio of the mean posterior scale to the standard deviation of
    the posterior means.  The posterior mean of a latent that a module does not use hardly changes
    from galaxy to galaxy.  Latents whose scale is the same for all galaxies, as that of numbers
    that are measured and not inferred, come last.

    Parameters:
        mean, scale:    Of the posterior, shape [N, K].  Rows that are not finite are left out.
        count:          Largest number of them.

    Returns:
        their indices, most informative first, int [min(count, K)].
    """
    finite = np.isfinite(mean).all(axis=1) & np.isfinite(scale).all(axis=1)
    if not finite.any():
        return np.arange(min(count, mean.shape[1]))
    spread = mean[finite].std(axis=0, dtype=float)
    width = scale[finite].mean(axis=0, dtype=float)
    ratio = np.divide(width, spread, out=np.full(len(spread), np.inf), where=spread > 0)
    ratio[np.ptp(scale[finite], axis=0) == 0] = np.inf
    return np.argsort(ratio, kind="stable")[:count]
