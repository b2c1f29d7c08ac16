"""How far stamps extend in real and in Fourier space, computed for many stamps at once.

GalSim finds both from a padded image, one profile after the other (``calculate_stepk`` and
``calculate_maxk`` of `galsim.InterpolatedImage`).  That takes longer than a network takes to make
the stamp.
"""

__all__ = ["half_sizes", "largest_frequencies"]

import functools

import numpy as np
from numpy.typing import NDArray

from ..runtime.forking import not_while_forking

MODE_MARGIN = 0.7
"""Factor on the threshold below which a Fourier mode counts as empty.

The spectrum between two modes of the stamp's grid can be larger than at the modes.
"""

SMOOTH_LIMIT = 0.125
"""If the number of the highest significant Fourier mode is below this fraction of the number of
pixels on a side (a quarter of the Nyquist frequency), the mode is determined again on a finer
Fourier grid."""

BATCH = 16
"""Number of stamps in one step, so that the arrays stay in the processor's cache."""


def half_sizes(stamps: NDArray[np.float32], flux: NDArray[np.float64],
               folding_threshold: float) -> NDArray[np.float64]:
    """Half the side of the square about the central pixel that holds nearly all of the light.

    The definition is that of GalSim's ``calculate_stepk``.  The squares are centred on pixel
    [S // 2, S // 2], and each is one pixel wider on each side than the one before.

    Parameters:
        stamps:             Light, float32 [N, S, S].
        flux:               Their sums, float64 [N].
        folding_threshold:  The largest share of the light outside of the square.

    Returns:
        float64 [N], in pixels.

    Example:

        >>> stamp = np.zeros((1, 9, 9), np.float32)
        >>> stamp[0, 4, 4] = 1.0
        >>> half_sizes(stamp, np.array([1.0]), 0.005)
        array([1.5])
    """
    enclosed = np.concatenate([_light_in_squares(batch) for batch in _batches(stamps)])
    if enclosed.shape[1] < 2:
        return np.full(len(stamps), 0.5 * stamps.shape[1])
    # GalSim's smallest square has 3 x 3 pixels, and its largest one is the stamp.
    enough = np.sign(flux)[:, None] * (
        enclosed[:, 1:] - (1 - folding_threshold) * flux[:, None]) >= 0
    return np.where(enough.any(axis=1), enough.argmax(axis=1), enough.shape[1]) + 1.5


def largest_frequencies(stamps: NDArray[np.float32], flux: NDArray[np.float64],
                        maxk_threshold: float) -> NDArray[np.float64]:
    """The frequency along either axis above which the spectrum is below a threshold.

    GalSim looks at the modes of the padded image.  Here they are those of the stamp, S x S, which
    are fewer.  The spectrum may be higher between these modes.  A lower threshold (`MODE_MARGIN`)
    and one extra mode allow for this, so that the result is not below GalSim's.  A result that is
    too large costs some time, one that is too small would lose detail.

    Parameters:
        stamps:             Light, float32 [N, S, S].
        flux:               Their sums, float64 [N].
        maxk_threshold:     The threshold relative to the flux.

    Returns:
        float64 [N], in radians per pixel.
    """
    size = stamps.shape[1]
    bounds = np.square(MODE_MARGIN * maxk_threshold * flux)
    last = np.concatenate([_last_modes(batch, limits) for batch, limits in zip(
        _batches(stamps), _batches(bounds), strict=True)])
    return 2 * np.pi / size * np.minimum(last + 1.0, 0.5 * size + 0.25)


def _batches(values: NDArray) -> list[NDArray]:
    return [values[first:first + BATCH] for first in range(0, len(values), BATCH)]


def _light_in_squares(stamps: NDArray) -> NDArray:
    """The light in squares about the central pixel, [N, S - S // 2], by their half sizes."""
    # The first row and column of an even stamp have no counterpart and are left out, as in GalSim.
    quarter = _folded(_folded(stamps).swapaxes(1, 2))
    # The pixels that a square adds are a row and a column, which meet in the diagonal.
    rings = (quarter + quarter.swapaxes(1, 2)) * _ring_weights(quarter.shape[1])
    return np.cumsum(rings.sum(axis=2), axis=1, dtype=float)


def _folded(stamps: NDArray) -> NDArray:
    """The sum of rows at the same distance from the central one, [N, S - S // 2, S]."""
    centre = stamps.shape[1] // 2
    folded = stamps[:, centre:].copy()
    folded[:, 1:] += stamps[:, centre - 1::-1][:, :folded.shape[1] - 1]
    return folded


@functools.cache
def _ring_weights(size: int) -> NDArray:
    """1 below the diagonal, one half on it, which is counted twice, and 0 above."""
    return np.tril(np.ones((size, size), np.float32)) - 0.5 * np.eye(size, dtype=np.float32)


def _last_modes(stamps: NDArray, bounds: NDArray) -> NDArray:
    """The number of the last mode along either axis with more power than the bound, [N]."""
    size = stamps.shape[1]
    last = _last_above(stamps, bounds, size)
    # The modes of the stamp's own grid are zero for light that is smooth all over the stamp (a
    # constant, for instance), while the spectrum between them is not.
    smooth = np.flatnonzero(last < SMOOTH_LIMIT * size)
    if len(smooth):
        finer = _last_above(stamps[smooth], bounds[smooth], 2 * size)
        last[smooth] = np.maximum(last[smooth], np.ceil(0.5 * finer))
    return last


def _last_above(stamps: NDArray, bounds: NDArray, modes: int) -> NDArray:
    """The last mode above the bound, for stamps padded to ``modes`` pixels on a side, [N]."""
    with not_while_forking:
        from scipy import fft  # imported here, since that takes a while

        spectrum = fft.rfft2(stamps, (modes, modes))
    above = np.square(spectrum.real) + np.square(spectrum.imag) > bounds[:, None, None]
    ky, kx = np.abs(np.fft.fftfreq(modes, 1 / modes)), np.fft.rfftfreq(modes, 1 / modes)
    return np.maximum((above.any(axis=2) * ky).max(axis=1), (above.any(axis=1) * kx).max(axis=1))
