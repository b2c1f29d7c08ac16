"""Small-scale structure of profiles that are known without noise and before the PSF."""

__all__ = ["EDGES", "peak_surface_brightness", "ratio_of_medians", "small_scale_power"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

EDGES = tuple(float(edge) for edge in np.geomspace(0.1, 0.5, 5))
"""Wavelengths that bound the bins of `small_scale_power` [arcsec]: from the resolution of HST/ACS
(0.1") to the size of a faint galaxy."""


def small_scale_power(residual: ArrayLike, flux: float, pixel_scale: float,
                      edges: Sequence[float] = EDGES) -> np.ndarray:
    """Power spectrum of the residual of a smooth fit, relative to the squared flux of the galaxy.

    The mean over the modes of each bin of ``|F(k)|^2 / flux^2``, where F is the transform of the
    residual in flux per pixel (the sum over pixels, without a factor of their number).  It has no
    unit, and does not depend on the size of the stamp if the residual fits into it: a point source
    with a share f of the flux has the power f^2 at all wavelengths, and N such sources at random
    positions have N f^2.

    Parameters:
        residual:       Profile minus its best smooth fit, shape [S, S], flux per pixel.
        flux:           Flux of the galaxy, in the same unit.
        pixel_scale:    Size of a pixel [arcsec].
        edges:          Increasing wavelengths that bound the b bins [arcsec], the shortest at least
                        two pixels.  [default: `EDGES`, four logarithmic bins]

    Returns:
        float64, shape [b]; NaN for a bin without modes, and throughout for a flux that is not
        positive or a residual that is not finite.
    """
    residual, bounds = np.asarray(residual, float), np.asarray(edges, float)
    power = np.full(len(bounds) - 1, np.nan)
    if not (np.isfinite(residual).all() and np.isfinite(flux) and flux > 0):
        return power
    spectrum = np.abs(fft.fft2(residual))**2 / flux**2
    ky, kx = (fft.fftfreq(n, pixel_scale) for n in residual.shape)
    frequency = np.hypot(ky[:, None], kx)
    for number in range(len(power)):
        # Frequencies are compared, not wavelengths, since that of the mean is infinite.
        chosen = (frequency > 1 / bounds[number + 1]) & (frequency <= 1 / bounds[number])
        if chosen.any():
            power[number] = spectrum[chosen].mean()
    return power


def peak_surface_brightness(profile: ArrayLike, pixel_scale: float) -> float:
    """Largest surface brightness of a profile, averaged over squares of two by two pixels.

    All squares of two by two pixels are considered.  The light of a source that is not wider than a
    pixel falls on up to two by two pixels, depending on where it lies with respect to them.  The
    largest square therefore hardly depends on that position, while the brightest single pixel would
    hold between a quarter and all of the light.

    Parameters:
        profile:        Shape [S, S], flux per pixel.
        pixel_scale:    Size of a pixel [arcsec].

    Returns:
        flux per square arcsec; NaN if the profile is not finite.
    """
    profile = np.asarray(profile, float)
    if not np.isfinite(profile).all():
        return np.nan
    squares = profile[1:, 1:] + profile[1:, :-1] + profile[:-1, 1:] + profile[:-1, :-1]
    return float(squares.max() / (2 * pixel_scale)**2)


def ratio_of_medians(generated: ArrayLike, truth: ArrayLike, groups: ArrayLike,
                     seed: int | Sequence[int] | np.random.SeedSequence, count: int = 200
                     ) -> tuple[np.ndarray, np.ndarray]:
    """Median of a quantity over generated galaxies, relative to that over the true ones.

    Galaxies for which either value is not known are left out of both.

    Parameters:
        generated:  One value, or b of them, for each generated galaxy, shape [n] or [n, b].
        truth:      The same for the true galaxy that it was generated for.
        groups:     Number of the source of each galaxy, shape [n].  Galaxies of one source are not
                    independent, so sources are resampled with replacement, not galaxies.
        seed:       Seed of the bootstrap, as `numpy.random.default_rng` takes it.
        count:      Number of bootstrap samples.  [default: 200]

    Returns:
        the ratio and its standard error, each float64 of shape [] or [b]; NaN if no value is
        known (the error also if there is only one source).
    """
    generated, truth = np.asarray(generated, float), np.asarray(truth, float)
    groups = np.asarray(groups)
    shape = generated.shape[1:]
    ratio, error = np.full(shape, np.nan), np.full(shape, np.nan)
    for column in np.ndindex(shape):
        generated_values, true_values = generated[:, *column], truth[:, *column]
        finite = np.isfinite(generated_values) & np.isfinite(true_values)
        if finite.any():
            ratio[column], error[column] = _ratio_of_known_medians(
                generated_values[finite], true_values[finite], groups[finite], seed, count)
    return ratio, error


def _ratio_of_known_medians(
        generated_values: np.ndarray, true_values: np.ndarray, groups: np.ndarray,
        seed: int | Sequence[int] | np.random.SeedSequence, count: int) -> tuple[float, float]:
    """`ratio_of_medians` of two arrays of known values, shape [n] each."""
    def ratio(rows: slice | np.ndarray) -> float:
        denominator = np.median(true_values[rows])
        return np.median(generated_values[rows]) / denominator if denominator != 0 else np.nan

    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    if len(members) < 2:
        return ratio(slice(None)), np.nan
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        drawn = rng.integers(len(members), size=len(members))
        samples.append(ratio(np.concatenate([members[k] for k in drawn])))
    return ratio(slice(None)), float(np.std(samples))
