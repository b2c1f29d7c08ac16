"""The figures of the section on classes.

Each takes a `Validation` and gives a matplotlib figure, or None where there is nothing to show.
"""

__all__ = ["BRIGHT", "COUNT", "FIGURES"]

import numpy as np

from .classes import EXPLAINED
from .figures import COLOURS
from .statistics import STATISTICS
from .tiles import GAP, Stretch, mosaic, new_figure

COUNT = 6
"""Galaxies of each class that are shown."""
BRIGHT = 0.5
"""They are chosen from this share of the sample, the brightest: faint ones all look alike."""
_LABEL = {statistic.name: statistic.label for statistic in STATISTICS}


def class_samples(validation):
    """A row of galaxies for each class, as observed and without PSF and noise."""
    found = validation.classes.samples
    if not len(found.rows):
        return None
    stretches = []
    for number in found.rows:
        seen = validation.survey.observation(int(number))
        stretches.append(Stretch.of(seen.stamp, seen.noise_sigma))
    tiles = [[stretch.image(stamp) for stamps in (found.generated[k], found.profile[k])
              for stretch, stamp in zip(stretches, stamps, strict=True)]
             for k in range(len(found.generated))]
    labels = [f"{one.name}\n{100 * one.share:.3g} %" for one in validation.card.clusters]
    figure = mosaic(tiles, labels)
    axis, half = figure.axes[0], len(found.rows) * (tiles[0][0].shape[0] + GAP)
    axis.xaxis.tick_top()
    axis.set_xticks([0.5 * half, 1.5 * half], ["as observed", "profile, no PSF or noise"])
    axis.axvline(half - 0.5 * (GAP + 1), color="k", lw=1.5)
    return figure


def class_statistics(validation):
    """The distributions of Gini, C and M20 in each class, of generated and of real galaxies."""
    data, classes = validation.measurements, validation.classes
    ids = dict(generated=classes.drawn, **{k: v for k, v in classes.found.items() if k == "real"})
    names = [one.name for one in validation.card.clusters]
    figure = new_figure(max(6.0, 1.6 + 0.8 * len(names)), 7.5)
    axes = figure.subplots(len(EXPLAINED), 1, sharex=True)
    for axis, name in zip(axes, EXPLAINED, strict=True):
        known = np.all([np.isfinite(data.values[one][name]) for one in ("generated", "real")],
                       axis=0)
        for sample, shift in [("generated", -0.18), ("real", 0.18)]:
            if sample not in ids:
                continue
            style = dict(color=COLOURS[sample], lw=1.3)
            for number in range(len(names)):
                values = data.values[sample][name][known & (ids[sample] == number)]
                if len(values):
                    axis.bxp([_box(values)], positions=[number + shift], widths=0.3,
                             showfliers=False, boxprops=style, medianprops=style,
                             whiskerprops=style, capprops=style)
            axis.plot([], [], color=COLOURS[sample], label=sample)
        axis.set_ylabel(_LABEL[name])
        axis.set_xlim(-0.6, len(names) - 0.4)
    axes[0].legend(fontsize=8)
    axes[-1].set_xticks(range(len(names)), names, rotation=30 if len(names) > 4 else 0,
                        ha="right" if len(names) > 4 else "center")
    return figure


def _box(values):
    """What matplotlib draws a box from: the middle 68 % and 95 % of some values."""
    low, first, median, third, high = np.quantile(values, [0.025, 0.16, 0.5, 0.84, 0.975])
    return dict(whislo=low, q1=first, med=median, q3=third, whishi=high)


FIGURES = (
    ("class_samples", class_samples, "Galaxies of each class, one class a row: in each column the "
     "same catalogue row and random numbers; with PSF and noise on the left, their light profiles "
     "on the right. Below the names, how frequent the classes are in the training sample."),
    ("class_statistics", class_statistics, "Gini, C and M20 in each class: of generated galaxies, "
     "whose class is known, and of real ones by the class that the encoder finds. Boxes hold the "
     "middle 68 % of the galaxies, whiskers the middle 95 %, and lines are medians."),
)
"""The figures in the order of the section: (name, function, caption)."""
