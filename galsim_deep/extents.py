"""How far stamps reach in real and in Fourier space, for many of them at once.

GalSim looks for both on a padded grid, one profile after the other (`galsim.InterpolatedImage`,
``calculate_stepk`` and ``calculate_maxk``), which takes longer than making the stamp does.
"""

__all__ = ["half_sizes", "largest_frequencies"]

import functools

import numpy as np

from .forking import not_while_forking

CAUTION = 0.7
"""What counts as nothing, over what would between the modes of a finer grid."""

SMOOTH = 0.125
"""Up to which mode, over their number, a stamp counts as smooth."""

BLOCK = 16
"""Stamps that are looked at together."""


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
    inside = np.concatenate([_inside(some) for some in _blocks(stamps)])
    if inside.shape[1] < 2:
        return np.full(len(stamps), 0.5 * stamps.shape[1])
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
    size = stamps.shape[1]
    bounds = np.square(CAUTION * maxk_threshold * flux)
    last = np.concatenate([_last_modes(some, bound) for some, bound in zip(
        _blocks(stamps), _blocks(bounds), strict=True)])
    return 2 * np.pi / size * np.minimum(last + 1.0, 0.5 * size + 0.25)


def _blocks(values):
    """Some at a time: what is made of them stays in the processor's cache."""
    return [values[first:first + BLOCK] for first in range(0, len(values), BLOCK)]


def _inside(stamps):
    """The light in squares about the central pixel, [N, S - S // 2], by their distance from it."""
    # Of an even stamp the first row and column, which have no counterpart, are left out.
    quarter = _folded(_folded(stamps).swapaxes(1, 2))
    # A ring is a row and a column that meet in the diagonal, which is counted once.
    rings = (quarter + quarter.swapaxes(1, 2)) * _below_diagonal(quarter.shape[1])
    return np.cumsum(rings.sum(axis=2), axis=1, dtype=float)


def _folded(stamps):
    """The sum of rows at the same distance from the central one, [N, S - S // 2, S]."""
    centre = stamps.shape[1] // 2
    folded = stamps[:, centre:].copy()
    folded[:, 1:] += stamps[:, centre - 1::-1][:, :folded.shape[1] - 1]
    return folded


@functools.cache
def _below_diagonal(size):
    return np.tril(np.ones((size, size), np.float32)) - 0.5 * np.eye(size, dtype=np.float32)


def _last_modes(stamps, bounds):
    """The number of the last mode along either axis that has more power than the bound, [N]."""
    size = stamps.shape[1]
    last = _last_above(stamps, bounds, size)
    # Light that is smooth all over a stamp is so in the modes of its own grid as well, but not
    # between them.
    smooth = np.flatnonzero(last < SMOOTH * size)
    if len(smooth):
        finer = _last_above(stamps[smooth], bounds[smooth], 2 * size)
        last[smooth] = np.maximum(last[smooth], np.ceil(0.5 * finer))
    return last


def _last_above(stamps, bounds, size):
    """The same on a grid of so many modes."""
    with not_while_forking:
        from scipy import fft  # takes a while to import

        spectrum = fft.rfft2(stamps, (size, size))
    above = np.square(spectrum.real) + np.square(spectrum.imag) > bounds[:, None, None]
    ky, kx = np.abs(np.fft.fftfreq(size, 1 / size)), np.fft.rfftfreq(size, 1 / size)
    return np.maximum((above.any(axis=2) * ky).max(axis=1), (above.any(axis=1) * kx).max(axis=1))
