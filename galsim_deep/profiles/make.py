"""Make GalSim profiles from stamps, optionally with a given flux and half-light radius."""

__all__ = ["StampProfile", "make_profile", "make_profiles"]

import functools
import math
from typing import Any

import galsim
import numpy as np
from galsim import GalSimRangeError, GalSimValueError
from numpy.typing import ArrayLike, NDArray

from ..measure.half_light import measured_radius
from ._galsim_internals import StampProfile, profile_options
from .extents import half_sizes, largest_frequencies

PADDING = 4.0
"""Size of the padded grid in units of the extent of the galaxy's light.

GalSim pads by the same factor, but relative to the stamp.  Too little padding causes errors at the
edge of the light, so the padding must scale with the extent of the light, not with the stamp.  A
smaller padding reduces the time of the Fourier transforms of compact galaxies to a quarter and
changes drawn images by less than 1e-4 of their peak.  (GalSim's own error, for a stamp full of
light, is up to 4e-4.)
"""

LEAST_PADDING = 2.0
"""Smallest size of the padded grid in units of the stamp's, for the faint light far out."""


def make_profiles(stamps: NDArray[np.float32], pixel_scale: ArrayLike,
                  flux: ArrayLike | None = None, half_light_radius: ArrayLike | None = None,
                  x_interpolant: Any = None, k_interpolant: Any = None,
                  pad_factor: float | None = None,
                  gsparams: galsim.GSParams | None = None) -> list[StampProfile]:
    """Wrap stamps as interpolated images, much faster than one by one.

    Parameters:
        stamps:             Light profiles before PSF and pixel, float32 [N, S, S], flux per pixel.
        pixel_scale:        Size of a pixel [arcsec], of all stamps or of each, [N].
        flux:               Total fluxes to give the profiles, [N].
                            [default: None, the sums of the stamps]
        half_light_radius:  Half-light radii to give the profiles [arcsec], [N], by dilation.
                            [default: None, those of the stamps]
        x_interpolant:      Interpolant in real space.  [default: galsim.Quintic]
        k_interpolant:      Interpolant in Fourier space.  [default: galsim.Quintic]
        pad_factor:         Size of the padded grid for Fourier transforms in units of the stamp's.
                            [default: `PADDING` times the extent of each galaxy's light, but at
                            least `LEAST_PADDING` times the size of the stamp]
        gsparams:           A `galsim.GSParams`.  [default: None]

    Returns:
        a list of N `StampProfile`.  Flux and radius are part of the profile, which is not wrapped
        in a transformation, so that it is a `galsim.InterpolatedImage` in any case.

    Raises:
        GalSimRangeError:   ``pad_factor`` is not positive.
        GalSimValueError:   The sum of a stamp is zero; names its row.
        GalSimError:        An option that GalSim does not accept, also if there are no stamps.

    Example:

        >>> stamps = np.ones((2, 16, 16), np.float32)
        >>> profiles = make_profiles(stamps, pixel_scale=0.2, flux=[10, 20])
        >>> [round(profile.flux, 3) for profile in profiles]
        [10.0, 20.0]
    """
    if pad_factor is not None and not pad_factor > 0:
        raise GalSimRangeError("pad_factor must be a positive number.", pad_factor, 0)
    options = profile_options(bool(stamps.shape[1] % 2), x_interpolant, k_interpolant,
                              galsim.GSParams.check(gsparams))
    if not len(stamps):
        return []
    sums = _sums(stamps)
    if not sums.all():
        raise GalSimValueError("A stamp has zero total flux, so that no profile can be made from "
                               "it. Remove its row. Number of the row, counted from 0:",
                               int(np.flatnonzero(sums == 0)[0]))
    half = half_sizes(stamps, sums, options.gsparams.folding_threshold)
    maxk = np.minimum(largest_frequencies(stamps, sums, options.gsparams.maxk_threshold),
                      options.x_interpolant.krange)
    scales = np.full(len(stamps), pixel_scale, float)
    if half_light_radius is not None:
        scales = np.asarray(half_light_radius, float) / [
            measured_radius(stamp, x_interpolant) for stamp in stamps]
    fluxes = sums if flux is None else np.asarray(flux, float)
    return [
        # A copy: otherwise a galaxy that is kept would keep the stamps of its whole batch.
        StampProfile(stamp.copy(), scale, options, _pad_size(len(stamp), size, pad_factor),
                     flux=total, image_flux=image_flux,
                     # In the order of GalSim's own operations, for the same bits.
                     stepk=math.pi / (math.hypot(size, options.x_interpolant.xrange) * scale),
                     maxk=highest)
        for stamp, scale, total, image_flux, size, highest in zip(
            stamps, scales.tolist(), fluxes.tolist(), sums.tolist(), half.tolist(),
            (maxk / scales).tolist(), strict=True)]


def _sums(stamps: NDArray[np.float32]) -> NDArray[np.float64]:
    """The sums of stamps, [N], to the last bit those of GalSim.

    GalSim sums a part of its padded image, whose rows do not follow each other in memory, and NumPy
    adds numbers in another order if they do.
    """
    size = stamps.shape[1]
    rows = np.empty((size, size + 1))[:, :size]
    sums = np.empty(len(stamps))
    for number, stamp in enumerate(stamps):
        rows[:] = stamp
        sums[number] = rows.sum()
    return sums


@functools.lru_cache(maxsize=1024)
def _pad_size(size: int, half: float, pad_factor: float | None) -> int:
    """Pixels on a side of the padded grid.

    Parameters:
        size:           Pixels on a side of the stamp.
        half:           Half the extent of the light [pixels].
        pad_factor:     As in `make_profiles`.
    """
    if pad_factor is None:
        wanted = max(PADDING * min(2 * half, size), LEAST_PADDING * size)
    else:
        wanted = max(pad_factor, 1) * size
    return galsim.Image.good_fft_size(math.ceil(wanted))


def make_profile(stamp: NDArray[np.float32], pixel_scale: float, flux: float | None = None,
                 half_light_radius: float | None = None, **kwargs: Any) -> galsim.InterpolatedImage:
    """Wrap one stamp as a plain `galsim.InterpolatedImage`, with all the options of that class.

    Parameters:
        stamp:              Light profile before PSF and pixel, shape [S, S], flux per pixel.
        pixel_scale:        Size of a pixel [arcsec].
        flux:               Total flux to give the profile.  [default: None, the sum of the stamp]
        half_light_radius:  Half-light radius to give the profile [arcsec], by dilation.
                            [default: None, that of the stamp]
        **kwargs:           Passed on to `galsim.InterpolatedImage`.

    Returns:
        a `galsim.InterpolatedImage`.

    Raises:
        GalSimError:        An option that GalSim does not accept.

    Example:

        >>> make_profile(np.ones((16, 16), np.float32), pixel_scale=0.2, flux=5).flux
        5
    """
    if half_light_radius is not None:
        pixel_scale = half_light_radius / measured_radius(stamp, kwargs.get("x_interpolant"))
    image = galsim.Image(np.ascontiguousarray(stamp), scale=pixel_scale)
    return galsim.InterpolatedImage(image, flux=flux, **kwargs)
