"""The comparison at natural size: every number of the headline, for one part of the collection.

All samples have the PSF, the noise, the pixels and the mask of the real galaxies as they were
observed.  All errors are bootstrapped over sources.
"""

__all__ = ["BRIGHT", "NaturalSample", "compare_at_natural_size", "null_test",
           "samples_of_parts"]

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..measure.shear_bias import shear_bias
from ..measure.statistics import STATISTICS
from ..measure.structure import EDGES, ratio_of_medians
from ..measure.structure_map import ANGLES, RADII, largest_correlations
from ..observations.real_galaxies import PARTS, UNSEEN, NaturalSize
from .diversity import cover, standardised, vendi_score
from .estimates import UNKNOWN, Estimate, estimate, mean, median, quantiles
from .galaxy import SAMPLES
from .measurements import Measurements
from .natural_numbers import SURVEYS
from .relations import PREDICTORS, fit_relation, rank_correlations
from .settings import MIN_GALAXIES
from .two_sample import auc, bootstrap_weights, halves

BRIGHT = 22.5
"""Galaxies brighter than this magnitude are bright."""
FAINT_JUDGES = 23.3
"""Judges fainter than this magnitude are the faint COSMOS galaxies."""
LARGE = 0.3
"""Galaxies with a half-light radius above this are large [arcsec]."""
MAGNITUDES = (20.0, 22.5, 23.5, 24.5, 26.0)
"""Edges of the magnitude bins of the mean ellipticity."""
STEEP = 2.5
"""Sersic indices above this are counted."""
ALIKE = 0.9
"""Two galaxies whose structure correlates by more than this repeat each other."""
CLEAR = 0.4
"""Largest norm of the noise in the map of a galaxy whose structure is compared."""
EXTREME = 0.1
"""Share of the real galaxies that counts as very smooth, and as very structured."""
STRUCTURE_BINS = slice(1, 4)
"""The bins of small-scale power that say how structured a galaxy is: 0.15 to 0.5 arcsec."""
SIGNAL = 5.0
"""Structure is compared in galaxies whose pixels have at least this signal-to-noise ratio."""
SPLITS = 20
"""Random halves of the real sample for the measures of diversity."""
RELATED = ("concentration", "asymmetry", "smoothness", "gini", "m20")
"""The statistics whose relations to the columns are compared."""
REDSHIFTS = (0.3, 2.0)
"""The change of a statistic between these redshifts is compared."""


@dataclasses.dataclass(frozen=True)
class NaturalSample:
    """The measurements of the galaxies of a part of the collection.

    Attributes:
        name:           The part; ``unseen`` for held-out galaxies and judges together.
        values:         {sample: {statistic: [N]}}.
        numbers:        {name: [N] or [N, b]}, the `natural_numbers` of each sample.
        source:         Number of the galaxy of each stamp, int [N].
        parts:          The part that each galaxy belongs to, text [N].
        surveys:        The survey that each stamp is from, text [N].
        magnitudes:     Float64 [N].
        sizes:          Half-light radii of the real galaxies before the PSF [arcsec], float64 [N].
        redshifts:      Float64 [N]; NaN if it is not known.
        has_wings:      Whether the light was observed as far as it goes, bool [N].
        weights:        Bootstrap weights, float64 [B, N].
        seed:           Seed of random splits.

    Example, of two galaxies:

        >>> twice = np.ones(2)
        >>> sample = NaturalSample(
        ...     name="seen", values={}, numbers={}, source=np.arange(2),
        ...     parts=np.full(2, "seen"), surveys=np.full(2, "a"), sizes=twice, redshifts=twice,
        ...     magnitudes=np.array([21.0, 24.0]), has_wings=twice > 0, weights=np.ones((1, 2)),
        ...     seed=1)
        >>> sample.bright.tolist(), len(sample.chosen(sample.bright))
        ([True, False], 1)
    """

    name: str
    values: Mapping[str, Mapping[str, np.ndarray]]
    numbers: Mapping[str, np.ndarray]
    source: np.ndarray
    parts: np.ndarray
    surveys: np.ndarray
    magnitudes: np.ndarray
    sizes: np.ndarray
    redshifts: np.ndarray
    has_wings: np.ndarray
    weights: np.ndarray
    seed: int

    def __len__(self) -> int:
        return len(self.source)

    @property
    def bright(self) -> np.ndarray:
        """The bright galaxies, bool [N]."""
        return self.magnitudes < BRIGHT

    def of(self, name: str, sample: str) -> np.ndarray:
        """A natural number of a sample."""
        return self.numbers[f"{name}_{sample}"]

    def chosen(self, rows: np.ndarray) -> "NaturalSample":
        """The galaxies of some rows, bool [N]."""
        return dataclasses.replace(
            self, numbers={name: values[rows] for name, values in self.numbers.items()},
            values={sample: {name: values[rows] for name, values in statistics.items()}
                    for sample, statistics in self.values.items()},
            weights=self.weights[:, rows],
            **{name: getattr(self, name)[rows] for name in (
                "source", "parts", "surveys", "magnitudes", "sizes", "redshifts", "has_wings")})


def samples_of_parts(measurements: Measurements, natural: NaturalSize, bootstraps: int,
                     seed: np.random.SeedSequence, split_seed: int) -> list[NaturalSample]:
    """The samples that are compared: each part of the collection, and the unseen ones together.

    Parameters:
        measurements:   The `Measurements` of all galaxies.
        natural:        Their `NaturalSize`.
        bootstraps:     Number of bootstrap samples.
        seed:           Seed of the bootstrap.
        split_seed:     Seed of random splits.
    """
    whole = NaturalSample(
        name="all", values=measurements.values, numbers=measurements.numbers,
        source=measurements.source, parts=natural.parts, surveys=natural.surveys,
        magnitudes=natural.magnitudes,
        sizes=natural.half_light_radii, redshifts=natural.redshifts, has_wings=natural.has_wings,
        weights=bootstrap_weights(measurements.source, bootstraps, seed), seed=split_seed)
    groups = {"unseen": UNSEEN, **{part: (part,) for part in PARTS}}
    present = set(np.unique(natural.parts))
    return [dataclasses.replace(whole.chosen(np.isin(natural.parts, parts)), name=name)
            for name, parts in groups.items() if present.issuperset(parts)]


def compare_at_natural_size(sample: NaturalSample) -> dict[str, Any]:
    """Compare generated and parametric galaxies with real ones.

    Parameters:
        sample:     The measurements.

    Returns:
        a dict of ``n``, ``sources``, ``surveys`` and the results of all functions below by their
        names.  Ratios are over real galaxies.
    """
    measures: dict[str, Callable[[NaturalSample], Any]] = dict(
        power=power, outer_light=outer_light, detections=detections, ellipticity=ellipticity,
        sersic=sersic, relations=relations, diversity=diversity, extremes=extremes, pairs=pairs,
        shear=shear, classifier=classifier)
    return dict(n=len(sample), n_bright=int(sample.bright.sum()),
                sources=len(np.unique(sample.source)),
                **{name: measure(sample) for name, measure in measures.items()})


def power(sample: NaturalSample) -> dict[str, Any]:
    """Small-scale power over that of real galaxies, by magnitude, size and survey.

    The ratio of the medians in each bin of wavelength (`structure.observed_power`).
    """
    large = sample.sizes >= LARGE
    choices = {"bright": sample.bright, "faint": ~sample.bright,
               "bright, large": sample.bright & large, "bright, small": sample.bright & ~large,
               "faint, large": ~sample.bright & large, "faint, small": ~sample.bright & ~large,
               **{str(survey): sample.surveys == survey for survey in np.unique(sample.surveys)}}
    results = {}
    for name, rows in choices.items():
        part = sample.chosen(rows)
        ratios = {other: ratio_of_medians(
            part.of("power", other), part.of("power", "real"), part.source, sample.seed)
            for other in SAMPLES[1:]}
        known = np.isfinite(part.of("power", "generated")) & np.isfinite(part.of("power", "real"))
        results[name] = dict(
            n=known.sum(axis=0).tolist(), edges=list(EDGES),
            **{other: [dict(value=float(value), error=float(error))
                       for value, error in zip(*ratio, strict=True)]
               for other, ratio in ratios.items()})
    return results


def outer_light(sample: NaturalSample) -> dict[str, Any]:
    """Light at 2.5 to 3 half-light radii and beyond 4: medians, and over those of real galaxies.

    Galaxies that were cut at a segment are left out, since their wings are not known.
    """
    results: dict[str, Any] = {}
    for name in ("ring", "wings"):
        known = sample.has_wings & np.all(
            [np.isfinite(sample.of(name, other)) for other in SAMPLES], axis=0)
        part = sample.chosen(known)
        results[name] = dict(n=len(part), **{
            other: median(part.of(name, other), part.weights) for other in SAMPLES})
        for other in SAMPLES[1:]:
            value, error = ratio_of_medians(
                part.of(name, other), part.of(name, "real"), part.source, sample.seed)
            results[name][f"{other}_over_real"] = dict(value=float(value), error=float(error))
    return results


def detections(sample: NaturalSample) -> dict[str, Any]:
    """Sources found per bright galaxy, and the share of those that are shredded, by resolution."""
    results: dict[str, Any] = {}
    for survey in ("hst", *(survey.name for survey in SURVEYS)):
        known = sample.bright & np.all(
            [np.isfinite(sample.of(f"found_{survey}", other)) for other in SAMPLES], axis=0)
        part = sample.chosen(known)
        results[survey] = dict(n=len(part))
        for name in ("found", "shredded"):
            results[survey][name] = {
                other: mean(part.of(f"{name}_{survey}", other), part.weights) for other in SAMPLES}
            for other in SAMPLES[1:]:
                results[survey][name][f"{other}_over_real"] = _ratio_of_means(
                    part.of(f"{name}_{survey}", other), part.of(f"{name}_{survey}", "real"),
                    part.weights)
    return results


def ellipticity(sample: NaturalSample) -> list[dict[str, Any]]:
    """Mean absolute reduced shear over that of real galaxies, in bins of magnitude."""
    results = []
    for low, high in zip(MAGNITUDES[:-1], MAGNITUDES[1:], strict=True):
        rows = (sample.magnitudes >= low) & (sample.magnitudes < high) & np.all(
            [np.isfinite(sample.values[other]["g"]) for other in SAMPLES], axis=0)
        part = sample.chosen(rows)
        results.append(dict(low=low, high=high, n=len(part), **{
            other: _ratio_of_means(part.values[other]["g"], part.values["real"]["g"], part.weights)
            for other in SAMPLES[1:]}))
    return results


def sersic(sample: NaturalSample) -> dict[str, Any]:
    """Share of the Sersic indices above 2.5, and rank correlation of the index with the size.

    The size is that of the real galaxy, which the columns of the module describe.
    """
    known = np.all([np.isfinite(sample.of("sersic_n", other)) for other in SAMPLES], axis=0)
    part = sample.chosen(known)
    ones = np.ones((1, len(part)))
    results: dict[str, Any] = dict(n=len(part), share={}, correlation={})
    for other in SAMPLES:
        index = part.of("sersic_n", other)
        results["share"][other] = mean((index > STEEP).astype(float), part.weights)
        results["correlation"][other] = estimate(
            rank_correlations(index, part.sizes, ones)[0],
            rank_correlations(index, part.sizes, part.weights))
    steep = {other: (part.of("sersic_n", other) > STEEP).astype(float) for other in SAMPLES}
    for other in SAMPLES[1:]:
        results["share"][f"{other}_minus_real"] = mean(steep[other] - steep["real"], part.weights)
        results["correlation"][f"{other}_minus_real"] = _difference(
            lambda name, weights: rank_correlations(
                part.of("sersic_n", name), part.sizes, weights), other, part.weights)
    return results


def relations(sample: NaturalSample) -> dict[str, Any]:
    """Slopes and scatter of statistics against magnitude, logarithm of the size, and redshift.

    All three are fitted at once, so that the slope with redshift is that at fixed magnitude and
    size.
    """
    columns = np.stack([sample.magnitudes, np.log10(sample.sizes), sample.redshifts], axis=1)
    results = {}
    for name in RELATED:
        known = np.isfinite(columns).all(axis=1) & np.all(
            [np.isfinite(sample.values[other][name]) for other in SAMPLES], axis=0)
        part, predictors = sample.chosen(known), columns[known]
        fits = {other: (fit_relation(part.values[other][name], predictors, np.ones((1, len(part)))),
                        fit_relation(part.values[other][name], predictors, part.weights))
                for other in SAMPLES}
        entry: dict[str, Any] = dict(n=len(part), slopes={}, scatter={})
        for number, predictor in enumerate(PREDICTORS):
            entry["slopes"][predictor] = {
                other: estimate(one[0][0, number], many[0][:, number])
                for other, (one, many) in fits.items()}
            for other in SAMPLES[1:]:
                entry["slopes"][predictor][f"{other}_minus_real"] = estimate(
                    fits[other][0][0][0, number] - fits["real"][0][0][0, number],
                    fits[other][1][0][:, number] - fits["real"][1][0][:, number])
        for other, (one, many) in fits.items():
            entry["scatter"][other] = estimate(one[1][0], many[1])
        for other in SAMPLES[1:]:
            with np.errstate(divide="ignore", invalid="ignore"):
                entry["scatter"][f"{other}_over_real"] = estimate(
                    fits[other][0][1][0] / fits["real"][0][1][0],
                    fits[other][1][1] / fits["real"][1][1])
        change = REDSHIFTS[1] - REDSHIFTS[0]
        entry["change_with_redshift"] = {
            other: {key: change * number for key, number in slope.items()}
            for other, slope in entry["slopes"]["redshift"].items()}
        results[name] = entry
    return results


def diversity(sample: NaturalSample) -> dict[str, Any]:
    """Precision, recall, density, coverage and Vendi score, beside those of real galaxies.

    Features are all statistics that do not depend on the position angle, and the square root of the
    small-scale power above 0.15 arcsec, with its sign; each in units of its spread among real
    galaxies (`diversity.standardised`).  The real sample is split into random halves by sources,
    and one half is compared with the other, or with the galaxies that were generated for the
    columns of the other: so both comparisons have samples of the same size.
    """
    features = {other: _features(sample, other) for other in SAMPLES}
    known = np.all([np.isfinite(values).all(axis=1) for values in features.values()], axis=0)
    results: dict[str, Any] = dict(n=int(known.sum()))
    if known.sum() < MIN_GALAXIES:
        return results
    scaled = {other: standardised(values[known], features["real"][known])
              for other, values in features.items()}
    splits = halves(sample.source[known], SPLITS, sample.seed)
    for other in SAMPLES:
        measured = [cover(scaled["real"][first], scaled[other][~first]) for first in splits]
        for name in measured[0]:
            # Halves of one sample are not independent: their scatter is the error of one half.
            values = [numbers[name] for numbers in measured]
            results.setdefault(name, {})[other] = dict(
                value=float(np.mean(values)), error=float(np.std(values)))
        score = [vendi_score(scaled[other][first]) for first in splits]
        results.setdefault("vendi", {})[other] = dict(
            value=float(np.mean(score)), error=float(np.std(score)))
    return results


def extremes(sample: NaturalSample) -> dict[str, Any]:
    """Shares of very smooth and very structured galaxies, over those of real ones.

    Of the galaxies with a good signal.  They are ordered by their small-scale power at 0.15 to 0.5
    arcsec.  The tenth of the real ones with the least is very smooth, that with the most very
    structured.
    """
    structure = {other: sample.of("power", other)[:, STRUCTURE_BINS].sum(axis=1)
                 for other in SAMPLES}
    known = (sample.of("signal", "real") > SIGNAL) & np.all(
        [np.isfinite(values) for values in structure.values()], axis=0)
    results: dict[str, Any] = dict(n=int(known.sum()))
    if known.sum() < MIN_GALAXIES:
        return results | dict(smooth=dict(UNKNOWN), structured=dict(UNKNOWN))
    low, high = np.quantile(structure["real"][known], (EXTREME, 1 - EXTREME))
    weights = sample.weights[:, known]
    for name, limit, sign in (("smooth", low, -1), ("structured", high, 1)):
        beyond = {other: (sign * values[known] > sign * limit).astype(float)
                  for other, values in structure.items()}
        results[name] = _ratio_of_means(beyond["generated"], beyond["real"], weights)
        results[f"{name}_parametric"] = _ratio_of_means(
            beyond["parametric"], beyond["real"], weights)
    return results


def pairs(sample: NaturalSample) -> dict[str, Any]:
    """Share of the pairs of galaxies that repeat each other's structure.

    Pairs of galaxies in whose map (`structure_map`) the noise is small, that correlate by more than
    0.9 however one is rotated or mirrored.  One is added to the numbers of both samples in the
    ratio, which would otherwise often be that of zeros.
    """
    results: dict[str, Any] = {}
    shares = {}
    for other in SAMPLES:
        clear = sample.of("map_noise", other) < CLEAR
        maps = sample.of("map", other)[clear].reshape(-1, len(RADII), ANGLES)
        source = sample.source[clear]
        alike, number = 0, 0
        if len(maps) > 1:
            different = np.triu(source[:, None] != source[None], 1)
            alike = int((largest_correlations(maps) > ALIKE)[different].sum())
            number = int(different.sum())
        results[other] = dict(galaxies=len(maps), pairs=number, alike=alike)
        shares[other] = (alike + 1, number + 1)
    for other in SAMPLES[1:]:
        (alike, number), (real_alike, real_number) = shares[other], shares["real"]
        if min(number, real_number) < MIN_GALAXIES:
            results[f"{other}_over_real"] = dict(UNKNOWN)
            continue
        ratio = alike / number / (real_alike / real_number)
        results[f"{other}_over_real"] = dict(
            value=ratio, error=ratio * float(np.sqrt(1 / alike + 1 / real_alike)))
    return results


def shear(sample: NaturalSample) -> dict[str, Any]:
    """Multiplicative shear bias, generated minus real (`shear_bias`), for each survey."""
    results: dict[str, Any] = {}
    for survey in SURVEYS:
        known = np.all([np.isfinite(sample.of(f"slope_{survey.name}", other))
                        for other in SAMPLES], axis=0)
        part = sample.chosen(known)
        ones = np.ones((1, len(part)))
        biases = {other: [shear_bias(part.of(f"slope_{survey.name}", other),
                                     part.of(f"square_{survey.name}", other), weights)
                          for weights in (ones, part.weights)] for other in SAMPLES}
        results[survey.name] = dict(n=len(part), **{
            other: estimate(one[0], many) for other, (one, many) in biases.items()})
        for other in SAMPLES[1:]:
            results[survey.name][f"{other}_minus_real"] = estimate(
                biases[other][0][0] - biases["real"][0][0], biases[other][1] - biases["real"][1])
    return results


def classifier(sample: NaturalSample) -> dict[str, Any]:
    """How well a classifier over all statistics tells the samples from real galaxies.

    Of all galaxies, of the bright ones, and of the faint ones among the judges.
    """
    choices = {"all": np.ones(len(sample), bool), "bright": sample.bright,
               "faint COSMOS": (sample.parts == "judges") & (sample.magnitudes > FAINT_JUDGES)}
    results: dict[str, dict[str, Any]] = {}
    for name, rows in choices.items():
        features = {other: np.stack([sample.values[other][statistic.name]
                                     for statistic in STATISTICS], axis=1) for other in SAMPLES}
        use = rows & np.all([np.isfinite(values).all(axis=1) for values in features.values()],
                            axis=0)
        results[name] = dict(n=int(use.sum()))
        if use.sum() < MIN_GALAXIES:
            continue
        groups = sample.source[use]
        for other in SAMPLES[1:]:
            both = np.concatenate([features["real"][use], features[other][use]])
            labels = np.arange(len(both)) < len(groups)
            results[name][other] = dataclasses.asdict(
                auc(both, labels, np.tile(groups, 2), sample.seed))
        splits = halves(groups, 5, sample.seed)
        real = [auc(features["real"][use], first, groups, sample.seed).value for first in splits]
        results[name]["real"] = dict(value=float(np.nanmean(real)), error=float(np.nanstd(real)))
    return results


def null_test(first: NaturalSample, second: NaturalSample) -> dict[str, Any]:
    """Compare real galaxies with other real ones, which should show no difference.

    Parameters:
        first, second:  Two parts of the collection, of similar galaxies.

    Returns:
        a dict of ``power``, the medians of the bright galaxies of the first over those of the
        second, and ``classifier``, how well their galaxies are told apart (0.5: by chance only).
        As the galaxies are not paired, the power scatters more than in `power`.
    """
    medians = []
    for part in (first, second):
        bright = part.chosen(part.bright)
        values = bright.of("power", "real")
        medians.append([
            (np.nanmedian(values[:, number]) if np.isfinite(values[:, number]).any() else np.nan,
             quantiles(values[known, number], bright.weights[:, known], (0.5,))[:, 0])
            for number in range(values.shape[1])
            for known in [np.isfinite(values[:, number])]])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [estimate(one[0] / other[0], one[1] / other[1])
                  for one, other in zip(*medians, strict=True)]
    features = [np.stack([part.values["real"][statistic.name] for statistic in STATISTICS], axis=1)
                for part in (first, second)]
    known = [np.isfinite(values).all(axis=1) for values in features]
    both = np.concatenate([values[rows] for values, rows in zip(features, known, strict=True)])
    labels = np.arange(len(both)) < known[0].sum()
    groups = np.concatenate([part.source[rows]
                             for part, rows in zip((first, second), known, strict=True)])
    return dict(power=ratios,
                classifier=dataclasses.asdict(auc(both, labels, groups, first.seed)))


def _features(sample: NaturalSample, other: str) -> np.ndarray:
    """The features of `diversity`, [N, F]."""
    values = [sample.values[other][statistic.name] for statistic in STATISTICS
              if not statistic.oriented]
    structure = sample.of("power", other)[:, 1:]
    return np.column_stack([*values, np.sign(structure) * np.sqrt(np.abs(structure))])


def _ratio_of_means(values: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> Estimate:
    """Mean over that of a reference, both over the same galaxies."""
    if not len(values) or reference.mean() == 0:
        return dict(UNKNOWN)
    with np.errstate(invalid="ignore", divide="ignore"):
        return estimate(values.mean() / reference.mean(), weights @ values / (weights @ reference))


def _difference(measure: Callable[[str, np.ndarray], np.ndarray], other: str, weights: np.ndarray
                ) -> Estimate:
    """A measure of a sample minus that of the real one, with its error."""
    ones = np.ones((1, weights.shape[1]))
    return estimate(measure(other, ones)[0] - measure("real", ones)[0],
                    measure(other, weights) - measure("real", weights))
