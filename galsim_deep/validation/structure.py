"""Small-scale structure of profiles that are known without noise and before the PSF."""

__all__ = ["EDGES", "peak_surface_brightness", "ratio_of_medians", "small_scale_power"]

import numpy as np
from scipy import fft

# Wavelengths [arcsec]: from the resolution of HST/ACS (0.1") to the size of a faint galaxy.
EDGES = tuple(np.geomspace(0.1, 0.5, 5))


def small_scale_power(residual, flux, pixel_scale, edges=EDGES):
    """Power spectrum of what a smooth fit leaves over, relative to the flux of the galaxy squared.

    The mean over the modes of each bin of ``|F(k)|^2 / flux^2``, where F is the transform of the
    residual in flux per pixel (the sum over pixels, without a factor of their number).  So it has
    no unit and does not depend on the size of the stamp, as long as the residual fits in: a point
    source with a share f of the flux has f^2 at all wavelengths, and N of them at random places
    have N f^2.

    Parameters:
        residual:       Profile minus its best smooth fit, shape [S, S], flux per pixel.
        flux:           Flux of the galaxy, in the same units.
        pixel_scale:    Size of a pixel [arcsec].
        edges:          Increasing wavelengths that bound the bins [arcsec], the shortest at least
                        two pixels.  [default: four logarithmic bins from 0.1" to 0.5"]

    Returns:
        float64, shape [len(edges) - 1]; NaN for a bin without modes, and throughout for a flux
        that is not positive or a residual that is not finite.
    """
    residual, edges = np.asarray(residual, float), np.asarray(edges, float)
    power = np.full(len(edges) - 1, np.nan)
    if not (np.isfinite(residual).all() and np.isfinite(flux) and flux > 0):
        return power
    spectrum = np.abs(fft.fft2(residual))**2 / flux**2
    ky, kx = (fft.fftfreq(n, pixel_scale) for n in residual.shape)
    frequency = np.hypot(ky[:, None], kx)
    for number in range(len(power)):
        # Compared as frequencies, which are 0 for the mean; a mode on an edge counts once.
        chosen = (frequency > 1 / edges[number + 1]) & (frequency <= 1 / edges[number])
        if chosen.any():
            power[number] = spectrum[chosen].mean()
    return power


def peak_surface_brightness(profile, pixel_scale):
    """Largest surface brightness of a profile, averaged over two by two pixels.

    The squares may lie anywhere.  So a peak not wider than a pixel counts the same wherever it lies
    with respect to the pixels: its light falls on up to two by two of them, and the brightest one
    alone has between all of it and a quarter.

    Parameters:
        profile:        Shape [S, S], flux per pixel.
        pixel_scale:    Size of a pixel [arcsec].

    Returns:
        flux per square arcsec; NaN if some of the profile is not finite.
    """
    profile = np.asarray(profile, float)
    if not np.isfinite(profile).all():
        return np.nan
    squares = profile[1:, 1:] + profile[1:, :-1] + profile[:-1, 1:] + profile[:-1, :-1]
    return float(squares.max() / (2 * pixel_scale)**2)


def ratio_of_medians(generated, truth, groups, seed, count=200):
    """Median of a quantity over generated galaxies, relative to that over the true ones.

    Galaxies where either is not known are left out of both.

    Parameters:
        generated:  One value, or b of them, for each generated galaxy, shape [n] or [n, b].
        truth:      The same for the true galaxy that it stands for.
        groups:     Number of the source of each galaxy, shape [n].  Galaxies of one source are not
                    independent, so that sources are resampled with replacement, not galaxies.
        seed:       Seed of the bootstrap.
        count:      Number of resamplings.  [default: 200]

    Returns:
        the ratio and its standard error, each a float or of shape [b]; NaN where no value is known
        (the error also where there is only one source).
    """
    generated, truth = np.asarray(generated, float), np.asarray(truth, float)
    groups = np.asarray(groups)
    shape = generated.shape[1:]
    ratio, error = np.full(shape, np.nan), np.full(shape, np.nan)
    for column in np.ndindex(shape):
        above, below = generated[:, *column], truth[:, *column]
        known = np.isfinite(above) & np.isfinite(below)
        if known.any():
            ratio[column], error[column] = _ratio(
                above[known], below[known], groups[known], seed, count)
    return (ratio, error) if shape else (float(ratio), float(error))


def _ratio(above, below, groups, seed, count):
    """`ratio_of_medians` of two arrays of known values, shape [n] each."""
    def ratio(of):
        low = np.median(below[of])
        return np.median(above[of]) / low if low != 0 else np.nan

    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    if len(members) < 2:
        return ratio(slice(None)), np.nan
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        chosen = rng.integers(len(members), size=len(members))
        drawn.append(ratio(np.concatenate([members[k] for k in chosen])))
    return ratio(slice(None)), np.std(drawn)
