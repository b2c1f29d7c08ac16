"""What a report says of the classes of a module: how they look, and whether they are real.

Of a generated galaxy the class is known.  Of a real one it is what the module's own encoder finds,
so that a class stands for the same kind of galaxy on both sides only as far as the encoder is
right; how far that is, generated galaxies show.
"""

__all__ = ["EXPLAINED", "reliable", "summarise_classes"]

import numpy as np

from .conditioning import quantiles
from .estimates import estimate, mean
from .explained import explained, explained_by_chance
from .statistics import STATISTICS
from .summary import FEWEST, FEWEST_SOURCES
from .two_sample import LEVEL, bootstrap_weights

EXPLAINED = ("gini", "concentration", "m20")
"""The statistics of which it is asked how much of their variance the classes explain."""
SAMPLES = ("generated", "real")
LEAST_SIGNAL = 2.5
"""Signal-to-noise ratio of a pixel from which on Gini and M20 are not governed by the noise (Lotz
et al. 2004, section 3)."""
DEALS = 500
"""How often classes are dealt out at random."""
_SHAPE = tuple(s for s in STATISTICS if s.name not in ("g1", "g2"))  # which are as the angle is


def summarise_classes(measurements, classified, card, settings, frequencies, pixel_scale):
    """All numbers of the section on classes.

    Parameters:
        measurements:   A `Measurements`.
        classified:     The `classify.Classified` of the same galaxies.
        card:           The card of the module, which has classes.
        settings:       A `summary.Settings`.
        frequencies:    As `frequencies.class_frequencies` gives them.
        pixel_scale:    Size of a pixel of the stamps [arcsec].

    Returns:
        a dict of dicts, lists, text and numbers; ``docs/validation.md`` describes it.
    """
    weights = bootstrap_weights(measurements.source, settings.bootstraps, [settings.seed, 20])
    good = reliable(measurements, classified, pixel_scale)
    ids = dict(generated=classified.drawn)
    if "real" in classified.found:
        ids["real"] = classified.found["real"]
    result = dict(
        frequencies=frequencies, reliable=int(good.sum()), least_signal=LEAST_SIGNAL,
        of_class=[_of_class(number, one, measurements, ids, frequencies, weights)
                  for number, one in enumerate(card.clusters)],
        explained=_explained(measurements, classified, good, weights, settings))
    if "generated" in classified.found:
        result["recovered"] = _recovered(classified, good, len(card.clusters), weights)
    return result


def reliable(measurements, classified, pixel_scale):
    """Rows whose real and generated stamps both have Gini, M20 and C that can be trusted.

    All of them measured, neither stamp flagged ``off_centre``, and in both a mean signal-to-noise
    ratio of at least `LEAST_SIGNAL` a pixel.

    Parameters are those of `summarise_classes`.

    Returns:
        bool [N].
    """
    good = np.ones(len(measurements), bool)
    for sample in SAMPLES:
        values = measurements.values[sample]
        for name in EXPLAINED:
            good &= np.isfinite(values[name])
        good &= ~measurements.flags[sample]["off_centre"]
        signal = _signal(values, classified.noise_sigma, pixel_scale)
        good &= np.where(np.isfinite(signal), signal, 0.0) >= LEAST_SIGNAL
    return good


def _signal(values, noise_sigma, pixel_scale):
    """Mean signal-to-noise ratio of the pixels within two sigma of the adaptive Gaussian, [N]."""
    area = 4 * np.pi * (values["size"] / pixel_scale) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return 10 ** values["amplitude"] * (1 - np.exp(-2)) / area / noise_sigma


def _of_class(number, cluster, measurements, ids, frequencies, weights):
    """One class: how frequent it is, and the statistics of its galaxies."""
    expected = frequencies["expected"]
    found = dict(
        name=cluster.name, description=cluster.description, share=cluster.share,
        expected=None if expected is None else expected[number] / frequencies["draws"],
        drawn=frequencies["drawn"][number] / frequencies["draws"])
    for sample, classes in ids.items():
        mine = classes == number
        known = np.where(classes >= 0, mine, np.nan)
        found[sample] = dict(
            n=int(mine.sum()), share=mean(known, weights),
            statistics={s.name: _spread(measurements, s.name, sample, mine, weights)
                        for s in _SHAPE})
    return found


def _spread(measurements, name, sample, mine, weights):
    """Median and 16th to 84th percentile of a statistic of some galaxies of a sample.

    Only where it could be measured on the generated and on the real stamp of a row, whichever class
    they are of: the same selection on both sides.
    """
    use = mine & np.all([np.isfinite(measurements.values[one][name]) for one in SAMPLES], axis=0)
    n = int(use.sum())
    if not n:
        return dict(n=0, median=dict(value=float("nan"), error=float("nan")),
                    low=float("nan"), high=float("nan"))
    values = measurements.values[sample][name][use]
    low, median, high = quantiles(values, np.ones((1, n)))[0]
    return dict(n=n, median=estimate(median, quantiles(values, weights[:, use])[:, 1]),
                low=float(low), high=float(high))


def _explained(measurements, classified, good, weights, settings):
    """The share of the variance of each of `EXPLAINED` that goes with the class.

    ``generated``: by the class that it was made of; ``real`` and ``generated_found``: by the class
    that the encoder finds.  The same rows for all.
    """
    ids = dict(generated=("generated", classified.drawn))
    if classified.found:
        ids["real"] = "real", classified.found["real"]
        ids["generated_found"] = "generated", classified.found["generated"]
    use = good & np.all([classes >= 0 for _, classes in ids.values()], axis=0)
    groups = measurements.source[use]
    enough = use.sum() >= FEWEST and len(np.unique(groups)) >= FEWEST_SOURCES
    result = {}
    for name in EXPLAINED:
        one = result[name] = dict(n=int(use.sum()), sources=len(np.unique(groups)))
        for number, (kind, (sample, classes)) in enumerate(ids.items()):
            if not enough:
                one[kind] = None
                continue
            values, mine = measurements.values[sample][name][use], classes[use]
            chance = explained_by_chance(values, mine, groups, DEALS, [settings.seed, 21, number])
            one[kind] = dict(
                estimate(explained(values, mine)[0], explained(values, mine, weights[:, use])),
                chance=[float(q) for q in np.quantile(chance, [0.5, LEVEL])])
    return result


def _recovered(classified, good, count, weights):
    """How often the encoder finds the class of a generated galaxy."""
    drawn, found = classified.drawn, classified.found["generated"]
    known = found >= 0
    confusion = np.zeros((count, count), int)
    np.add.at(confusion, (drawn[known], found[known]), 1)
    right = np.where(known, drawn == found, np.nan)

    def share(rows):
        rows = rows & known
        # What agrees by chance, had the encoder only the frequencies right.
        by_chance = sum(float(np.mean(drawn[rows] == one) * np.mean(found[rows] == one))
                        for one in range(count)) if rows.any() else float("nan")
        return dict(mean(right[rows], weights[:, rows]), n=int(rows.sum()), chance=by_chance)

    return dict(all=share(np.ones(len(drawn), bool)), reliable=share(good),
                confusion=confusion.tolist())
