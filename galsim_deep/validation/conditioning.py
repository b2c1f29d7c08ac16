"""Does a module give what its columns ask for?  Sizes and magnitudes, measured against asked."""

__all__ = ["binned", "differences", "magnitude_column", "measured_conditions", "quantiles",
           "size_column"]

import numpy as np

from ..half_light import measured_radius

# Sizes that describe the image as observed, through the PSF; all others describe the profile.
OBSERVED_SIZES = ("flux_radius",)


def magnitude_column(card):
    """The first column of a card that is a magnitude, or None."""
    return next((column for column in card.columns if column.unit == "mag"), None)


def size_column(card):
    """The first column of a card that is a half-light radius, as its meaning says, or None."""
    return next((column for column in card.columns
                 if column.unit in ("pix", "pixel", "arcsec")
                 and "half-light" in column.meaning.lower()), None)


def measured_conditions(stamp, convolved, card, pixel_scale):
    """Size and magnitude of a generated galaxy, without noise.

    Parameters:
        stamp:          The profile as the module made it, before PSF, shape [S, S].
        convolved:      The profile through the PSF, without noise, on pixels of ``pixel_scale``.
        card:           The card of the module.
        pixel_scale:    Size of a pixel of ``convolved`` [arcsec].

    Returns:
        a dict of ``size``, the half-light radius in the unit of the size column (of the convolved
        image if that is how the column is defined, otherwise of the profile), and ``magnitude``.
        NaN where the module has no such column.
    """
    found = dict(size=np.nan, magnitude=np.nan)
    total = stamp.sum()
    if not (np.isfinite(total) and total > 0):
        return found
    if magnitude_column(card) is not None:
        found["magnitude"] = card.flux.zero_point - 2.5 * np.log10(total)
    column = size_column(card)
    if column is not None:
        if column.name.lower() in OBSERVED_SIZES:
            # Of a profile whose light all but cancels there may be no image.
            seen = convolved.sum()
            radius = measured_radius(convolved) * pixel_scale if 0 < seen < np.inf else np.nan
        else:
            radius = measured_radius(stamp) * card.pixel_scale
        found["size"] = radius if column.unit == "arcsec" else radius / card.pixel_scale
    return found


def differences(measurements, card):
    """How far sizes and magnitudes are from those that were asked for, galaxy by galaxy.

    Parameters:
        measurements:   A `Measurements`.
        card:           The card of the module.

    Returns:
        a dict of ``size``, as differences of the natural logarithm, and ``magnitude``, without
        those that are no column of the module.  Each is a pair: the `card.Column`, and a dict of
        float64 [N], NaN where it could not be measured,
        ``noiseless``   measured on the generated galaxy without noise, minus asked,
        ``observed``    generated minus real, as observed,
        ``parametric``  parametric minus real, as observed.
    """
    values, numbers = measurements.values, measurements.numbers
    found = {}
    column = size_column(card)
    with np.errstate(invalid="ignore", divide="ignore"):
        if column is not None:
            real = values["real"]["size"]
            found["size"] = column, dict(
                noiseless=np.log(numbers["measured_size"] / measurements.columns[column.name]),
                observed=np.log(values["generated"]["size"] / real),
                parametric=np.log(values["parametric"]["size"] / real))
        column = magnitude_column(card)
        if column is not None:
            real = values["real"]["amplitude"]
            found["magnitude"] = column, dict(
                noiseless=numbers["measured_magnitude"] - measurements.columns[column.name],
                observed=-2.5 * (values["generated"]["amplitude"] - real),
                parametric=-2.5 * (values["parametric"]["amplitude"] - real))
    return found


def binned(asked, difference, weights, count=6):
    """Median and scatter of a difference in bins of the asked value, with errors.

    Parameters:
        asked:          What was asked for, shape [N].
        difference:     Measured minus asked, shape [N]; NaN where it could not be measured.
        weights:        Bootstrap weights, shape [B, N] (`two_sample.bootstrap_weights`).
        count:          Number of bins, which hold equally many galaxies.

    Returns:
        a list of dicts, the first for all galaxies, then one a bin: ``low``, ``high``, ``n``,
        ``median``, ``median_error``, ``scatter``, ``scatter_error``.  The scatter is half the
        distance between the 16th and 84th percentiles.
    """
    good = np.isfinite(asked) & np.isfinite(difference)
    if not good.any():
        return []
    asked, difference, weights = asked[good], difference[good], weights[:, good]
    edges = np.quantile(asked, np.linspace(0, 1, count + 1))
    which = np.clip(np.searchsorted(edges, asked, side="right") - 1, 0, count - 1)
    rows = [_summary(asked, difference, weights)]
    for number in range(count):
        here = which == number
        if here.any():
            rows.append(_summary(asked[here], difference[here], weights[:, here]))
    return rows


def _summary(asked, difference, weights):
    low, median, high = quantiles(difference, np.ones((1, len(difference))))[0]
    samples = quantiles(difference, weights)
    spread = 0.5 * (samples[:, 2] - samples[:, 0])
    return dict(low=float(asked.min()), high=float(asked.max()), n=len(asked),
                median=float(median), median_error=float(np.nanstd(samples[:, 1])),
                scatter=float(0.5 * (high - low)), scatter_error=float(np.nanstd(spread)))


def quantiles(values, weights, levels=(0.16, 0.5, 0.84)):
    """Weighted quantiles for every row of weights, shape [B, 3]; NaN where there is no weight."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[:, order], axis=1)
    total = cumulative[:, -1:]
    found = np.full((len(weights), len(levels)), np.nan)
    for row in np.flatnonzero(total[:, 0] > 0):
        places = np.searchsorted(cumulative[row], np.array(levels) * total[row])
        found[row] = values[order][np.minimum(places, len(values) - 1)]
    return found
