"""From measurements to numbers: everything that report.json holds.

Each function answers one question of the report from `Measurements`, in plain dicts and lists of
numbers.  Errors are bootstrapped over source galaxies throughout.
"""

__all__ = ["Settings", "summarise"]

import dataclasses

import numpy as np

from . import structure
from .conditioning import binned, differences, magnitude_column
from .estimates import estimate, mean
from .examined import SAMPLES
from .statistics import FLAGS, STATISTICS
from .two_sample import (
    LEVEL,
    auc,
    bootstrap_weights,
    compare,
    floor,
    halves,
    split_distances,
)

MORPHOLOGY_MEAN = ("intensity", "deviation", "gini", "m20")
"""The statistics whose distance ratios are averaged into one number."""
FEWEST = 30
"""A bin with fewer galaxies is not judged."""
FEWEST_SOURCES = 10
"""Nor is one with fewer sources."""
SPLITS = 500
"""Random halves of the real sample for the floor."""
SEEN = 0.1
"""A departure by this part of a distribution's width must stand out of the floor."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a validation is done.

    Attributes:
        bins:       Edges of the bins in the first column of unit mag.
        bright:     Galaxies brighter than this magnitude are a bin of their own.
        seed:       Random seed.
        bootstraps: Number of bootstrap samples.
        goal:       Ratio of distances up to which a statistic passes.
    """

    bins: tuple = (21.5, 22.5, 23.5, 24.5, 25.5)
    bright: float = 23.0
    seed: int = 1
    bootstraps: int = 200
    goal: float = 0.5


def summarise(measurements, card, settings):
    """All numbers of a report.

    Parameters:
        measurements:   A `Measurements`.
        card:           The card of the module.
        settings:       A `Settings`.

    Returns:
        a dict of dicts, lists, text and numbers; ``docs/validation.md`` describes it.
    """
    weights = bootstrap_weights(measurements.source, settings.bootstraps, [settings.seed, 10])
    bins = _bins(measurements, card, settings)
    of_bins = [(one.name, one.rows) for one in bins]
    result = dict(
        bins=[dict(name=one.name, low=one.low, high=one.high, n=int(one.rows.sum()),
                   sources=len(np.unique(measurements.source[one.rows]))) for one in bins],
        failures=_failures(measurements),
        usable={name: _usable(measurements, rows, weights) for name, rows in of_bins},
        means={name: _means(measurements, rows, weights) for name, rows in of_bins},
        distances={name: _distances(measurements, rows, weights, settings)
                   for name, rows in of_bins},
        classifier={name: _classifier(measurements, rows, settings) for name, rows in of_bins},
        conditioning=_conditioning(measurements, card, weights),
        profiles=_profiles(measurements, weights),
        shear=_shear(measurements, of_bins, weights))
    if "chi2_reconstructed" in measurements.numbers:
        result["reconstruction"] = {
            name: _reconstruction(measurements, rows, weights) for name, rows in of_bins}
    if "peak_truth" in measurements.numbers:
        result["truth"] = {name: _truth(measurements, rows, settings) for name, rows in of_bins}
    result["verdict"] = {name: _verdict(result, name, settings) for name, _ in of_bins}
    return result


@dataclasses.dataclass(frozen=True)
class _Bin:
    """The galaxies between two magnitudes, None for no limit: rows of the sample, bool [N]."""

    name: str
    rows: np.ndarray
    low: float | None = None
    high: float | None = None


def _bins(measurements, card, settings):
    """The bins that are not empty, the whole sample first."""
    bins = [_Bin("all", np.ones(len(measurements), bool))]
    column = magnitude_column(card)
    if column is not None:
        magnitude = measurements.columns[column.name]
        bins.append(_Bin(f"mag < {settings.bright:g}", magnitude < settings.bright,
                         high=settings.bright))
        edges = (None, *settings.bins, None)
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            name = (f"mag < {high:g}" if low is None else
                    f"mag > {low:g}" if high is None else f"{low:g} < mag < {high:g}")
            rows = np.ones(len(magnitude), bool)
            rows &= True if low is None else magnitude >= low
            rows &= True if high is None else magnitude < high
            bins.append(_Bin(name, rows, low, high))
    return [one for one in bins if one.rows.any()]


def _failures(measurements):
    """How many stamps of each sample carry each flag."""
    return {flag: {sample: int(measurements.flags[sample][flag].sum()) for sample in SAMPLES}
            for flag in FLAGS}


def _usable(measurements, rows, weights):
    """The share of stamps of which every statistic could be measured, in each sample.

    A model whose galaxies often cannot be measured must not pass on the strength of the others:
    ``mark`` is ``fail`` where generated stamps fail more often than real ones by over three errors
    and a hundredth.
    """
    whole = {sample: np.all([np.isfinite(measurements.values[sample][s.name][rows])
                             for s in STATISTICS], axis=0).astype(float) for sample in SAMPLES}
    w = weights[:, rows]
    found = {sample: mean(share, w) for sample, share in whole.items()}
    lost = mean(whole["real"] - whole["generated"], w)
    bad = lost["value"] > max(3 * lost["error"], 0.01)
    return dict(found, mark="fail" if bad else "pass",
                compared=int(np.prod([whole[sample] for sample in SAMPLES], axis=0).sum()))


def _means(measurements, rows, weights):
    """Means of each statistic in each sample, and those of generated and parametric over real."""
    found = {}
    for statistic in STATISTICS:
        use = rows & measurements.measured(statistic.name)
        w = weights[:, use]
        values = {sample: measurements.values[sample][statistic.name][use] for sample in SAMPLES}
        one = dict(n=int(use.sum()), **{sample: mean(v, w) for sample, v in values.items()})
        if use.any():
            one["width"] = float(np.std(values["real"]))
            with np.errstate(invalid="ignore", divide="ignore"):
                for sample in SAMPLES[1:]:
                    ratio = w @ values[sample] / (w @ values["real"])
                    one[f"{sample}_over_real"] = estimate(
                        values[sample].mean() / values["real"].mean(), ratio)
        found[statistic.name] = one
    return found


def _distances(measurements, rows, weights, settings):
    """Distances of generated and parametric to real, the floor, and the ratio of the two."""
    found, ratios, estimates, numbers = {}, [], [], []
    for number, statistic in enumerate(STATISTICS):
        use = rows & measurements.measured(statistic.name)
        groups = measurements.source[use]
        if len(np.unique(groups)) < 2:
            continue
        real = measurements.values["real"][statistic.name][use]
        first = halves(groups, SPLITS, [settings.seed, 11, number])
        one = dict(n=int(use.sum()), sources=len(np.unique(groups)), width=float(real.std()),
                   floor=floor(real, first))
        samples = {}
        for sample in SAMPLES[1:]:
            other = measurements.values[sample][statistic.name][use]
            ks, w1, samples[sample] = compare(real, other, weights[:, use])
            one[sample] = dict(ks=dataclasses.asdict(ks), w1=dataclasses.asdict(w1))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = samples["generated"] / samples["parametric"]
            one["ratio"] = estimate(np.float64(one["generated"]["w1"]["value"])
                                    / one["parametric"]["w1"]["value"], ratio)
            one["ratio_ks"] = float(np.float64(one["generated"]["ks"]["value"])
                                    / one["parametric"]["ks"]["value"])
        one["mark"] = judge(one, settings)
        found[statistic.name] = one
        if statistic.name in MORPHOLOGY_MEAN:
            ratios.append(ratio)
            estimates.append(one["ratio"]["value"])
            numbers.append(one["n"])
    if len(estimates) == len(MORPHOLOGY_MEAN) and min(numbers) >= FEWEST:
        found["morphology_mean"] = dict(ratio=estimate(np.mean(estimates), np.mean(ratios, axis=0)),
                                        floor=_mean_floor(measurements, rows, found, settings))
    return found


def _mean_floor(measurements, rows, found, settings):
    """The mean distance ratio that a second sample of real galaxies would have in place of the
    generated one: its median and its `LEVEL` quantile.
    """
    use = rows & np.all([measurements.measured(name) for name in MORPHOLOGY_MEAN], axis=0)
    # Statistics go together from galaxy to galaxy: one split is for all of them.
    first = halves(measurements.source[use], SPLITS, [settings.seed, 14])
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = [split_distances(measurements.values["real"][name][use], first)[1]
                  / found[name]["parametric"]["w1"]["value"] for name in MORPHOLOGY_MEAN]
        return tuple(float(q) for q in np.nanquantile(np.mean(ratios, axis=0), [0.5, LEVEL]))


def judge(distance, settings):
    """The mark of a statistic.

    A sample is told apart from the real one if its distance exceeds the floor by more than the
    error of the distance: rare, disturbed galaxies make distances uncertain.

    ``pass``: not told apart, in a sample that would have shown a difference that matters, either
    one of a tenth of the distribution's width (the floor is lower than that), or one as large as
    that of the parametric sample (which is told apart, and farther by more than the error); or told
    apart, but at most ``goal`` times as far as the parametric sample.  ``closer``: told apart, but
    closer than the parametric sample by more than the error.  ``fail``: told apart, and no closer.
    ``too small``: not told apart, in a sample that cannot tell; or too few galaxies or sources.
    """
    if distance["n"] < FEWEST or distance["sources"] < FEWEST_SOURCES:
        return "too small"
    limit, ratio = distance["floor"]["w1"][1], distance["ratio"]
    apart = {sample: distance[sample]["w1"]["value"] - distance[sample]["w1"]["error"] > limit
             for sample in SAMPLES[1:]}
    closer = ratio["value"] + ratio["error"] < 1
    if not apart["generated"]:
        seen = limit <= SEEN * distance["width"] or (apart["parametric"] and closer)
        return "pass" if seen else "too small"
    if ratio["value"] <= settings.goal:
        return "pass"
    return "closer" if closer else "fail"


def _classifier(measurements, rows, settings):
    """How well a classifier over all statistics tells each sample from the real one."""
    use = rows & np.all([measurements.measured(s.name) for s in STATISTICS], axis=0)
    groups = measurements.source[use]
    found = dict(n=int(use.sum()))
    if use.sum() < FEWEST or len(np.unique(groups)) < 2:
        return found
    features = {sample: np.stack([measurements.values[sample][s.name][use] for s in STATISTICS], 1)
                for sample in SAMPLES}
    for sample in SAMPLES[1:]:
        both = np.concatenate([features["real"], features[sample]])
        labels = np.arange(len(both)) < len(groups)
        found[sample] = dataclasses.asdict(
            auc(both, labels, np.tile(groups, 2), settings.seed))
    # What the classifier finds between halves of the real sample is chance.
    split = halves(groups, 5, [settings.seed, 12])
    real = [auc(features["real"], first, groups, settings.seed).value for first in split]
    found["real_halves"] = dict(value=float(np.nanmean(real)), error=float(np.nanstd(real)))
    return found


_QUANTITIES = dict(size="ln(measured / asked)", magnitude="measured - asked")


def _conditioning(measurements, card, weights):
    """Measured minus asked, without noise; and generated minus real, as observed."""
    found = {}
    for name, (column, changes) in differences(measurements, card).items():
        asked = measurements.columns[column.name]
        found[name] = dict(
            column=column.name, unit=column.unit, quantity=_QUANTITIES[name],
            **{kind: binned(asked, change, weights) for kind, change in changes.items()})
    found["outside_valid_range"] = {}
    for column in card.columns:
        low, high = column.valid_range
        asked = measurements.columns[column.name]
        found["outside_valid_range"][column.name] = int(((asked < low) | (asked > high)).sum())
    return found


def _median(values, weights):
    rows = binned(np.zeros(len(values)), values, weights, count=1)
    if not rows:
        return dict(value=float("nan"), error=float("nan"))
    return dict(value=rows[0]["median"], error=rows[0]["median_error"])


def _profiles(measurements, weights):
    """What was found on the generated profiles themselves."""
    numbers = measurements.numbers
    e1, e2 = numbers["e1"], numbers["e2"]
    good = np.isfinite(e1) & np.isfinite(e2)
    angle = 0.5 * np.arctan2(e2[good], e1[good])
    # Rayleigh's test on twice the position angle (Mardia & Jupp 2000, sect. 6.3.1).
    resultant = float(np.abs(np.exp(2j * angle).mean())) if good.any() else float("nan")
    found = dict(
        profiles_with_pixels_not_finite=int((numbers["not_finite"] > 0).sum()),
        profiles_with_negative_pixels=int((numbers["negative"] > 0).sum()),
        edge_flux=dict(_median(numbers["edge_flux"], weights),
                       largest=float(np.nanmax(numbers["edge_flux"], initial=-np.inf))),
        ring_flux=dict(_median(numbers["ring_flux"], weights),
                       largest=float(np.nanmax(numbers["ring_flux"], initial=-np.inf))),
        offset=dict(x=mean(numbers["offset_x"], weights), y=mean(numbers["offset_y"], weights),
                    rms=float(np.sqrt(np.nanmean(
                        0.5 * (numbers["offset_x"]**2 + numbers["offset_y"]**2))))),
        position_angle=dict(
            e1=mean(e1, weights), e2=mean(e2, weights), resultant=resultant,
            p=float(np.exp(-good.sum() * resultant**2))))
    for name in ("size", "flux", "g"):
        changes = numbers[f"subpixel_{name}"]
        found[f"subpixel_{name}"] = dict(_median(changes, weights),
                                         largest=float(np.nanmax(changes, initial=-np.inf)))
    return found


def _shear(measurements, bins, weights):
    """Mean shear response of each sample."""
    numbers = measurements.numbers
    names = [f"response_{sample}" for sample in SAMPLES]
    known = np.all([np.isfinite(numbers[name]) for name in names], axis=0)
    found = {}
    for name, rows in bins:
        use = rows & known
        if not use.any():
            continue
        w = weights[:, use]
        one = dict(n=int(use.sum()))
        real = numbers["response_real"][use]
        for sample in SAMPLES:
            response = numbers[f"response_{sample}"][use]
            one[sample] = _median(response, w)
            if sample != "real":
                one[f"{sample}_minus_real"] = _median(response - real, w)
        one["generated_profile"] = _median(numbers["response_profile"][use], w)
        found[name] = one
    return found


def _reconstruction(measurements, rows, weights):
    """Chi-square per pixel of reconstruction and parametric fit, galaxy by galaxy.

    A reconstruction that is not finite or has no light has none: it is not better than the fit.
    Where it is known, the truth is compared with the fit in the same way: a fit follows the noise
    too, so that with faint galaxies even the truth is not better.
    """
    numbers = measurements.numbers
    use = rows & np.isfinite(numbers["chi2_parametric"])
    w = weights[:, use]
    ours, fit = numbers["chi2_reconstructed"][use], numbers["chi2_parametric"][use]
    truth = {}
    if "chi2_truth" in numbers:
        true = numbers["chi2_truth"][use]
        better = np.where(np.isfinite(true), true < fit, np.nan)
        truth = dict(truth=_median(true, w), truth_better=mean(better, w))
    return dict(
        **truth,
        n=int(use.sum()), reconstructed=_median(ours, w), parametric=_median(fit, w),
        mean_reconstructed=mean(ours, w), mean_parametric=mean(fit, w),
        better=mean((ours < fit).astype(float), w),
        bulge_and_disk=float(numbers["bulge_and_disk"][use].mean()) if use.any() else None,
        failed=int((~np.isfinite(ours)).sum()),
        fits_failed=int(numbers["fit_failed"][use].sum()))


def _truth(measurements, rows, settings):
    """Peak surface brightness and small-scale power, generated over true."""
    numbers = measurements.numbers
    peak = numbers["peak_generated"], numbers["peak_truth"]
    power = numbers["power_generated"], numbers["power_truth"]
    known = rows & np.isfinite(peak[0]) & np.isfinite(peak[1])
    fitted = rows & np.all(np.isfinite(power[0]) & np.isfinite(power[1]), axis=1)
    groups, seed = measurements.source, [settings.seed, 13]
    found = dict(n=int(known.sum()), n_power=int(fitted.sum()),
                 fits_failed={name: int(np.nansum(numbers[f"sersic_failed_{name}"][rows]))
                              for name in ("generated", "truth")},
                 wavelengths=[float(edge) for edge in structure.EDGES],
                 peak=dict(value=float("nan"), error=float("nan")), power=[])
    if known.any():
        found["peak"] = _median(
            peak[0][known] / peak[1][known],
            bootstrap_weights(groups[known], settings.bootstraps, seed))
    if fitted.any():
        ratio, error = structure.ratio_of_medians(
            power[0][fitted], power[1][fitted], groups[fitted], seed)
        found["power"] = [dict(value=float(v), error=float(e))
                          for v, e in zip(ratio, error, strict=True)]
    return found


def _verdict(result, name, settings):
    """The table that a report opens with: one row a statistic."""
    rows = []
    for statistic in STATISTICS:
        distance = result["distances"][name].get(statistic.name)
        means = result["means"][name][statistic.name]
        rows.append(dict(
            statistic=statistic.name, label=statistic.label, unit=statistic.unit,
            n=means["n"], **{sample: means[sample] for sample in SAMPLES},
            ratio=distance and distance["ratio"], floor=distance and distance["floor"]["w1"],
            floor_ks=distance and distance["floor"]["ks"],
            **{f"{sample}_{kind}": distance and distance[sample][kind]
               for sample in SAMPLES[1:] for kind in ("w1", "ks")},
            mark=distance["mark"] if distance else "too small"))
    return rows
