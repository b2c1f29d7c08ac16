"""The figures of a report, in the manner of figures 1 and 4 to 9 of Lanusse et al. (2021).

Each takes a `Validation` and gives a matplotlib figure, or None where there is nothing to show.
"""

__all__ = ["COLOURS", "FIGURES", "bright_to_faint", "draw"]

import numpy as np

from .conditioning import differences, magnitude_column
from .examined import SAMPLES
from .statistics import STATISTICS
from .tiles import MAP, Stretch, mosaic, new_figure

COLOURS = dict(real="#222222", generated="#d1495b", parametric="#3c7dc4")
_LABEL = {statistic.name: statistic.label for statistic in STATISTICS}


def draw(validation, folder, figures):
    """Write figures of a validation as PNG files.

    Parameters:
        validation:     A `Validation`.
        folder:         Where to.
        figures:        Which, such as `FIGURES`.

    Returns:
        a list of (file name, caption) of the figures there are.
    """
    drawn = []
    for name, figure_of, caption in figures:
        figure = figure_of(validation)
        if figure is not None:
            figure.savefig(folder / f"{name}.png", dpi=110, bbox_inches="tight")
            drawn.append((f"{name}.png", caption))
    return drawn


def bright_to_faint(measurements, card, count, share=1.0):
    """Places of kept galaxies from bright to faint, evenly through the sample.

    Parameters:
        measurements:   A `Measurements`.
        card:           The card of the module.
        count:          How many at most.
        share:          Only among so many of the brightest.  [default: 1, all]
    """
    # Stamps of which nothing could be shown are left out.
    shown = np.flatnonzero(np.isfinite(measurements.stamps["real"]).any(axis=(1, 2)))
    column = magnitude_column(card)
    if column is not None:
        shown = shown[np.argsort(measurements.columns[column.name][shown])]
    shown = shown[:max(min(count, len(shown)), round(share * len(shown)))]
    return shown[np.unique(np.linspace(0, len(shown) - 1, min(count, len(shown))).astype(int))]


def _chosen(validation, count):
    return bright_to_faint(validation.measurements, validation.card, count)


def _tiles(validation, chosen, rows, labels):
    """Stamps in a grid, one galaxy a column, one kind of image a row, as one picture."""
    if not len(chosen):
        return None
    real = validation.measurements.stamps["real"]
    tiles = [[] for _ in rows]
    for n in chosen:
        stretch = Stretch.of(real[n], validation.survey.observation(int(n)).noise_sigma)
        for row, shown in zip(tiles, rows, strict=True):
            image, residual = shown(n)
            row.append(stretch.residual(image) if residual else stretch.image(image))
    return mosaic(tiles, labels)


def samples(validation):
    """Figure 1: the three samples, drawn alike."""
    stamps = validation.measurements.stamps
    rows = [lambda n, name=name: (stamps[name][n], False) for name in (*SAMPLES, "profile")]
    labels = [*SAMPLES, "profile,\nno PSF or noise"]
    if "truth" in stamps:
        rows.append(lambda n: (stamps["truth"][n], False))
        labels.append("true profile")
    return _tiles(validation, _chosen(validation, 10), rows, labels)


def reconstructions(validation):
    """Figure 5: real, reconstructed, parametric and the residuals of both."""
    stamps = validation.measurements.stamps
    if "model_reconstructed" not in stamps:
        return None

    def residual(name):
        return lambda n: (stamps["real"][n] - stamps[name][n], True)

    rows = [lambda n: (stamps["real"][n], False),
            lambda n: (stamps["model_reconstructed"][n], False),
            lambda n: (stamps["model_parametric"][n], False),
            residual("model_reconstructed"), residual("model_parametric")]
    return _tiles(validation, _chosen(validation, 10), rows,
                  ["real", "reconstructed", "parametric", "residual of\nreconstructed",
                   "residual of\nparametric"])


def latents(validation):
    """Figure 4: corner plot of the latents that say most, real below and generated above."""
    found = validation.latents
    if found is None:
        return None
    real, generated = found.real, found.generated
    good = np.isfinite(real).all(axis=1) & np.isfinite(generated).all(axis=1)
    if good.sum() < 2:
        return None
    real, generated = real[good], generated[good]
    column = magnitude_column(validation.card)
    colours = {}
    if column is not None:
        colours = dict(c=validation.measurements.columns[column.name][:len(good)][good],
                       cmap="viridis")
    figure = new_figure(8, 7.5)
    count = len(found.which)
    axes = figure.subplots(count, count, squeeze=False)
    limits = np.quantile(np.concatenate([real, generated]), [0.005, 0.995], axis=0).T
    points = None
    for i in range(count):
        for j in range(count):
            axis = axes[i][j]
            axis.tick_params(labelsize=6)
            if i == j:
                edges = np.linspace(*limits[i], 25)
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
                axis.set_xlabel(f"latent {found.which[j]}", fontsize=7)
            if j == 0 and i > 0:
                axis.set_ylabel(f"latent {found.which[i]}", fontsize=7)
    if points is not None and column is not None:
        figure.colorbar(points, ax=axes, label=f"{column.name} [{column.unit}]", shrink=0.6)
    figure.suptitle("encoded stamps: real (lower left), generated (upper right)", fontsize=9)
    return figure


def moments(validation):
    """Figure 6: sizes and ellipticities."""
    data = validation.measurements
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    use = data.measured("size")
    values = {sample: data.values[sample]["size"][use] for sample in SAMPLES}
    edges = np.quantile(np.concatenate(list(values.values())), [0.002, 0.995]) \
        if use.any() else (0, 1)
    for sample in SAMPLES:
        left.hist(values[sample], np.linspace(*edges, 31), histtype="step", lw=1.5,
                  color=COLOURS[sample], label=sample)
        left.axvline(values[sample].mean() if use.any() else 0, color=COLOURS[sample], ls=":")
    left.set_xlabel("determinant radius [arcsec]")
    left.set_ylabel("galaxies")
    left.legend(fontsize=8)
    use = data.measured("g")
    means = validation.results["means"]
    for sample in SAMPLES:
        right.hist(data.values[sample]["g"][use], np.linspace(0, 0.8, 25), histtype="step", lw=1.5,
                   color=COLOURS[sample])
        mean = means["all"]["g"][sample]
        place = 1.04 - 0.07 * SAMPLES.index(sample)
        right.errorbar(mean["value"], place, xerr=mean["error"], fmt="o", ms=4,
                       color=COLOURS[sample], transform=right.get_xaxis_transform(),
                       clip_on=False)
    right.set_xlabel("|g|; points: means with errors")
    return figure


def conditioning(validation):
    """Figure 7: what was measured against what was asked."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    found = validation.results["conditioning"]
    keys = [key for key in ("size", "magnitude") if key in found]
    if not keys:
        return None
    data = validation.measurements
    changes = differences(data, validation.card)
    figure = new_figure(4.6 * len(keys), 6.4)
    axes = figure.subplots(2, len(keys), squeeze=False)
    for j, key in enumerate(keys):
        one = found[key]
        asked = data.columns[one["column"]]
        for i, (kind, what) in enumerate([("noiseless", "measured without noise, minus asked"),
                                          ("observed", "generated minus real, as observed")]):
            axis, difference = axes[i][j], changes[key][1][kind]
            axis.plot(asked, difference, ".", ms=2, alpha=0.35, color="#888888")
            bins = one[kind][1:]
            axis.errorbar([0.5 * (row["low"] + row["high"]) for row in bins],
                          [row["median"] for row in bins],
                          [row["median_error"] for row in bins], color=COLOURS["generated"],
                          marker="o", ms=3, capsize=2)
            axis.axhline(0, color="k", lw=0.6)
            good = difference[np.isfinite(difference)]
            if len(good):
                reach = max(float(np.quantile(np.abs(good), 0.98)), 1e-3)
                axis.set_ylim(-1.2 * reach, 1.2 * reach)
            axis.set_xlabel(f"{one['column']} [{one['unit']}]", fontsize=8)
            axis.set_ylabel("Δ ln size" if key == "size" else "Δ mag", fontsize=8)
            axis.set_title(f"{key}: {what}", fontsize=8)
            if key == "size":
                axis.set_xscale("log")
                axis.xaxis.set_minor_formatter(NullFormatter())
                axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.xaxis.set_major_formatter(ScalarFormatter())
    return figure


def mid(validation):
    """Figure 8: M, I and D of the three samples."""
    data = validation.measurements
    figure = new_figure(9, 3.2)
    for axis, name in zip(figure.subplots(1, 3), ("multimode", "intensity", "deviation"),
                          strict=True):
        use = data.measured(name)
        for sample in SAMPLES:
            values = np.log10(np.clip(data.values[sample][name][use], 1e-3, None))
            axis.hist(values, np.linspace(-3, 0, 31), histtype="step", lw=1.5,
                      color=COLOURS[sample], label=sample)
        axis.set_xlabel(f"log10 {_LABEL[name]}  (≤ −3 in the first bin)", fontsize=8)
    axis.legend(fontsize=7)
    return figure


def _planes(validation, x, y, log):
    data = validation.measurements
    use = data.measured(x) & data.measured(y)
    if not use.any():
        return None
    figure = new_figure(9, 3.2)
    axes = figure.subplots(1, 3, sharex=True, sharey=True)

    def values(sample, name):
        found = data.values[sample][name][use]
        return np.log10(np.clip(found, 1e-3, None)) if log else found

    limits = [np.quantile(np.concatenate([values(sample, name) for sample in SAMPLES]),
                          [0.005, 0.995]) for name in (x, y)]
    limits = [edges if edges[1] > edges[0] else edges + [-0.5, 0.5] for edges in limits]
    for axis, sample in zip(axes, ("parametric", "real", "generated"), strict=True):
        axis.hist2d(values(sample, x), values(sample, y), bins=28, range=limits, cmap=MAP)
        axis.set_title(sample, fontsize=9)
        axis.set_xlabel(("log10 " if log else "") + _LABEL[x], fontsize=8)
    axes[0].set_ylabel(("log10 " if log else "") + _LABEL[y], fontsize=8)
    if not log:
        for axis in axes:
            axis.invert_xaxis()  # disturbed to the left, as in the literature
    return figure


def gini_m20(validation):
    """Figure 9a: the plane of M20 and Gini."""
    return _planes(validation, "m20", "gini", log=False)


def intensity_deviation(validation):
    """Figure 9b: the plane of I and D."""
    return _planes(validation, "intensity", "deviation", log=True)


def ratios(validation):
    """Distances to the real sample: generated, parametric, and the floor."""
    rows = [row for row in validation.results["verdict"]["all"] if row["ratio"]]
    if not rows:
        return None
    widths = validation.results["distances"]["all"]
    figure = new_figure(8, 0.32 * len(rows) + 1)
    axis = figure.subplots()
    for i, row in enumerate(rows):
        scale = widths[row["statistic"]]["width"] or 1.0
        axis.barh(i, row["floor"][1] / scale, color="#dddddd",
                  label="floor (real to real, 99 %)" if i == 0 else None)
        for sample, shift in [("generated", -0.15), ("parametric", 0.15)]:
            distance = row[f"{sample}_w1"]
            axis.errorbar(distance["value"] / scale, i + shift, xerr=distance["error"] / scale,
                          fmt="o", ms=4, color=COLOURS[sample],
                          label=sample if i == 0 else None)
    axis.set_yticks(range(len(rows)), [row["label"] for row in rows], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.set_xlabel("Wasserstein-1 distance to the real sample / its standard deviation",
                    fontsize=8)
    axis.legend(fontsize=7)
    return figure


def truth(validation):
    """Small-scale power of generated profiles over that of true ones."""
    found = validation.results.get("truth", {})
    if not any(one["power"] for one in found.values()):
        return None
    figure = new_figure(6, 3.4)
    axis = figure.subplots()
    for i, (name, one) in enumerate(found.items()):
        if not one["power"]:
            continue
        edges = np.array(one["wavelengths"])
        middle = np.sqrt(edges[1:] * edges[:-1]) * (1 + 0.015 * i)
        axis.errorbar(middle, [p["value"] for p in one["power"]],
                      [p["error"] for p in one["power"]], marker="o", ms=3, capsize=2,
                      color="k" if name == "all" else f"C{i}", label=name)
    axis.axhline(1, color="k", lw=0.6)
    axis.axhspan(0.7, 1.3, color="#eeeeee", zorder=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("wavelength [arcsec]", fontsize=8)
    axis.set_ylabel("small-scale power,\ngenerated / true", fontsize=8)
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def reconstruction_chi2(validation):
    """Residuals of the reconstruction against those of the parametric fit."""
    numbers = validation.measurements.numbers
    if "chi2_reconstructed" not in numbers:
        return None
    ours, fit = numbers["chi2_reconstructed"], numbers["chi2_parametric"]
    good = np.isfinite(ours) & np.isfinite(fit) & (ours > 0) & (fit > 0)
    if not good.any():
        return None
    ours, fit = ours[good], fit[good]
    figure = new_figure(4.4, 4)
    axis = figure.subplots()
    column = magnitude_column(validation.card)
    colours = {}
    if column is not None:
        colours = dict(c=validation.measurements.columns[column.name][good], cmap="viridis")
    points = axis.scatter(fit, ours, s=5, **colours)
    if column is not None:
        figure.colorbar(points, label=f"{column.name} [{column.unit}]")
    reach = [0.9, max(1.5, float(max(ours.max(), fit.max())))]
    axis.plot(reach, reach, color="k", lw=0.6)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("chi-square per pixel, parametric fit", fontsize=8)
    axis.set_ylabel("chi-square per pixel, encode and decode", fontsize=8)
    return figure


FIGURES = (
    ("samples", samples, "Real galaxies, generated galaxies for the same catalogue columns, and "
     "the best parametric fits, with the same PSF and noise; below, the generated light profiles "
     "themselves (and the true ones, where they are known). Bright to faint from left to right."),
    ("ratios", ratios, "How far each sample is from the real one, statistic by statistic."),
    ("moments", moments, "Sizes and ellipticities by adaptive moments."),
    ("conditioning", conditioning, "What was measured against what was asked. Red: medians in "
     "bins, with errors."),
    ("mid", mid, "The statistics M, I and D."),
    ("gini_m20", gini_m20, "Gini and M20. Disturbed galaxies are to the left."),
    ("intensity_deviation", intensity_deviation, "I and D."),
    ("latents", latents, "Latents of encoded stamps: those five that tell galaxies apart "
     "best, the most informative one first."),
    ("reconstructions", reconstructions, "Real galaxies, their reconstructions by encode and "
     "decode, their parametric fits, and both residuals in units of the noise (-6 to 6)."),
    ("reconstruction_chi2", reconstruction_chi2, "Residuals galaxy by galaxy. Below the line the "
     "reconstruction is better than the parametric fit."),
    ("truth", truth, "Small-scale power of the profiles after subtraction of their best Sersic "
     "profile. The shaded band is 0.7 to 1.3."),
)
"""The figures in the order of the report: (name, function, caption)."""
