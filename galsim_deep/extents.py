"""How far stamps reach in real and in Fourier space, for many of them at once.

GalSim looks for both on a padded grid, one profile after the other (`galsim.InterpolatedImage`,
``calculate_stepk`` and ``calculate_maxk``), which takes longer than making the stamp does.
"""

__all__ = ["half_sizes", "largest_frequencies"]

import functools

import numpy as np

CAUTION = 0.7
"""What counts as nothing, over what would between the modes of a finer grid."""


def half_sizes(stamps, flux, folding_threshold):
    """Half the side of the square about the central pixel that holds nearly all of the light.

    As GalSim finds it: squares grow by a pixel on each side, about pixel [S // 2, S // 2].

    Parameters:
        stamps:             Shape [N, S, S].
        flux:               Their sums, float64 [N].
        folding_threshold:  The share of the light that may be left out.

    Returns:
        float64 [N], in pixels.
    """
    order, starts = _squares(stamps.shape[1])
    rings = np.add.reduceat(stamps.reshape(len(stamps), -1)[:, order], starts, axis=1)
    inside = np.cumsum(rings, axis=1, dtype=float)
    # A single pixel is never taken to be large enough; nor is there anything beyond the stamp.
    enough = np.sign(flux)[:, None] * (
        inside[:, 1:] - (1 - folding_threshold) * flux[:, None]) >= 0
    return np.where(enough.any(axis=1), enough.argmax(axis=1), enough.shape[1]) + 1.5


def largest_frequencies(stamps, flux, maxk_threshold):
    """The frequency along either axis beyond which there is next to nothing.

    On a grid of S x S modes, where GalSim takes a padded one: what lies between them is allowed for
    by less than the threshold and by going one mode further, so that the result is not below what
    GalSim finds, which is the side to err on.

    Parameters:
        stamps:             Shape [N, S, S].
        flux:               Their sums, float64 [N].
        maxk_threshold:     What counts as nothing, relative to the flux.

    Returns:
        float64 [N], in radians per pixel.
    """
    from scipy import fft  # takes a while to import

    size = stamps.shape[1]
    spectrum = fft.rfft2(stamps)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    order, starts = _frames(size)
    rows = np.maximum.reduceat(power.reshape(len(stamps), -1)[:, order], starts, axis=1)
    above = rows > np.square(CAUTION * maxk_threshold * flux)[:, None]
    # The last one that is above.
    last = above.shape[1] - 1 - above[:, ::-1].argmax(axis=1)
    return 2 * np.pi / size * np.minimum(last + 1.0, 0.5 * size + 0.25)


@functools.cache
def _squares(size):
    """Pixels of a stamp by their distance along an axis from the central one, and where each starts.

    Of an even stamp the first row and column, which have no counterpart, are left out.
    """
    place = np.arange(size) - size // 2
    distance = np.maximum(np.abs(place)[:, None], np.abs(place)).ravel()
    return _sorted(distance, distance <= (size - 1) // 2)


@functools.cache
def _frames(size):
    """Modes of `scipy.fft.rfft2` by the larger of |kx|, |ky|, and where each begins."""
    ky, kx = np.abs(np.fft.fftfreq(size, 1 / size)), np.fft.rfftfreq(size, 1 / size)
    frequency = np.rint(np.maximum(ky[:, None], kx)).astype(int).ravel()
    return _sorted(frequency, np.ones(len(frequency), bool))


def _sorted(values, kept):
    order = np.flatnonzero(kept)[np.argsort(values[kept], kind="stable")]
    return order, np.searchsorted(values[order], np.arange(values[kept].max() + 1))
