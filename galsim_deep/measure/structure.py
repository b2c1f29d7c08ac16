"""Small-scale structure of profiles, and of stamps through the PSF with noise."""

__all__ = ["EDGES", "aperture", "distances_from_centre", "observed_power",
           "peak_surface_brightness", "ratio_of_medians", "small_scale_power"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from ..observations.noise import periodic_power
from ..observations.observation import Observation

EDGES = tuple(float(edge) for edge in np.geomspace(0.1, 0.5, 5))
"""Wavelengths that bound the bins of `small_scale_power` [arcsec]: from the resolution of HST/ACS
(0.1") to the size of a faint galaxy."""
LEAST_PASSED = 0.002
"""Bins in which the PSF passes less than this share of the power are not measured on stamps."""


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
    return _binned(np.abs(fft.fft2(residual))**2 / flux**2, pixel_scale, bounds)


def observed_power(stamp: np.ndarray, model: np.ndarray, observation: Observation,
                   edges: Sequence[float] = EDGES) -> np.ndarray:
    """Small-scale power of a galaxy as it was observed, without that of the noise.

    As `small_scale_power`, but through the PSF, and within an `aperture` of the region with light.
    The power that noise of the known level and correlation is expected to have in that aperture is
    subtracted, with that of the photons of the galaxy; so the power of a faint galaxy may be
    negative.  The flux is the sum within the aperture.

    Parameters:
        stamp:          As observed, shape [S, S].
        model:          Its best smooth fit through the PSF, shape [S, S].
        observation:    The `Observation` with PSF, noise, mask and extent of the stamp.
        edges:          Increasing wavelengths that bound the b bins [arcsec].

    Returns:
        float64, shape [b]; NaN for bins that begin below two pixels or in which the PSF passes less
        than `LEAST_PASSED` of the power, and throughout for a flux that is not positive.
    """
    bounds = np.asarray(edges, float)
    window = aperture(observation)
    flux = float((stamp * window).sum())
    if not (np.isfinite(stamp).all() and np.isfinite(model).all() and flux > 0):
        return np.full(len(bounds) - 1, np.nan)
    weights = np.nan_to_num(observation.known(window))
    power = small_scale_power(
        weights * (stamp - model), flux, observation.pixel_scale, edges)
    variance = observation.noise_sigma**2 + observation.photon_variance * np.clip(model, 0, None)
    noise = np.full(stamp.shape, (weights**2 * variance).sum() / flux**2)
    if observation.noise_correlation is not None:
        half = periodic_power(_fitting(observation.noise_correlation, stamp.shape), stamp.shape)
        noise *= _full_plane(half, stamp.shape)
    power -= _binned(noise, observation.pixel_scale, bounds)
    passed = small_scale_power(observation.psf, 1.0, observation.pixel_scale, edges)
    short = bounds[:-1] < 1.999 * observation.pixel_scale
    return np.where(short | ~(passed >= LEAST_PASSED), np.nan, power)


def aperture(observation: Observation) -> np.ndarray:
    """A circle that holds the light of a galaxy, with a soft rim.

    Parameters:
        observation:    The `Observation`, with the position and extent of the galaxy.  If the
                        extent is not known, it is three quarters of half the stamp.

    Returns:
        float64, shape [S, S]: 1 within the extent, then falling as a cosine to 0 at 1.25 times it.
    """
    radius = observation.extent or 0.375 * min(observation.stamp.shape)
    distance = distances_from_centre(observation) / radius
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - 1) / 0.25, 0, 1))


def distances_from_centre(observation: Observation) -> np.ndarray:
    """Distance of each pixel from the galaxy [pixels], shape [S, S]."""
    rows, columns = observation.stamp.shape
    y, x = np.indices((rows, columns), float)
    return np.hypot(y - 0.5 * (rows - 1) - observation.offset[1],
                    x - 0.5 * (columns - 1) - observation.offset[0])


def _fitting(correlation: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A correlation function cut so that it fits into a stamp."""
    excess = max(0, len(correlation) - (min(shape) - 1 + min(shape) % 2))
    cut = (excess + 1) // 2
    return correlation[cut:len(correlation) - cut, cut:len(correlation) - cut]


def _full_plane(half: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A spectrum of real numbers on the grid of an fft2 from that on the grid of an rfft2."""
    rows, columns = shape
    full = np.empty(shape)
    full[:, :half.shape[1]] = half
    rest = np.arange(half.shape[1], columns)
    full[:, rest] = half[(-np.arange(rows)) % rows][:, columns - rest]
    return full


def _binned(spectrum: np.ndarray, pixel_scale: float, bounds: np.ndarray) -> np.ndarray:
    """The mean of a spectrum, on the grid of an fft2, over the modes of each bin of wavelength."""
    power = np.full(len(bounds) - 1, np.nan)
    ky, kx = (fft.fftfreq(n, pixel_scale) for n in spectrum.shape)
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
