"""From stamps to GalSim profiles, with flux and half-light radius imposed where asked."""

__all__ = ["StampProfile", "make_profile", "make_profiles"]

import collections
import functools
import math
import weakref

import galsim
import numpy as np
from galsim import GalSimValueError

from .extents import half_sizes, largest_frequencies
from .half_light import measured_radius

PADDING = 4.0
"""Zero padding over the extent of a galaxy's light.

It is GalSim's own for images.  What a grid that is too small does to a galaxy is seen where its
light ends, so its extent counts, not that of its stamp; and transforms of compact galaxies take a
quarter of the time.  That changes drawn images by less than 1e-4 of their peak; with a stamp full
of light GalSim's padding is wrong by up to 4e-4.
"""

LEAST_PADDING = 2.0
"""The same over the size of the stamp, for light far out that is little, but not nothing."""

HELD = 32
"""How many profiles keep what was made to draw them, in each process."""


class StampProfile(galsim.InterpolatedImage):
    """A `galsim.InterpolatedImage` that holds no more than its stamp until it is drawn.

    GalSim pads an image for Fourier transforms, in double precision, as soon as it is wrapped, and
    keeps it and its transform: 4 MB for a stamp of 64 kB.  Here that waits until something needs
    it, and only the `HELD` galaxies drawn last keep it.  A profile is equal to the
    `galsim.InterpolatedImage` of the same stamp, flux, padding, stepk and maxk, and draws the same.

    Made by `make_profiles`.
    """

    def __init__(self, stamp, wcs, shared, pad_size, flux, image_flux, stepk, maxk):
        self.__dict__.update(shared)
        self._pad_size, self._pad_factor = pad_size, pad_size / len(stamp)
        self._stamp, self._wcs = stamp, wcs
        self._flux, self._image_flux = flux, image_flux
        self._stepk, self._maxk = stepk, maxk

    @functools.cached_property
    def _xim(self):
        size, padding = len(self._stamp), self._pad_size
        array = np.zeros((padding, padding))
        first = padding // 2 - size // 2
        array[first:first + size, first:first + size] = self._stamp
        _hold(self)
        return galsim._Image(array, _centred_bounds(padding), self._wcs)

    @property
    def _image(self):
        return self._xim[_centred_bounds(len(self._stamp))]

    _pad_image = _image  # beyond it there is nothing

    def _release(self):
        """Let go of what can be made again from the stamp."""
        for name in _REMADE:
            self.__dict__.pop(name, None)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name not in _REMADE}

    def __setstate__(self, state):
        self.__dict__.update(state)

    # Hashing and comparing are those of the base class, which Python forgets where one is defined.
    __eq__ = galsim.InterpolatedImage.__eq__
    __hash__ = galsim.InterpolatedImage.__hash__


_REMADE = "_sbp", "_sbii", "_xim"
_held = collections.deque()


def _hold(profile):
    """Let a profile keep what was made to draw it, and the one that has kept it longest not."""
    _held.append(weakref.ref(profile))
    if len(_held) > HELD:
        oldest = _held.popleft()()
        if oldest is not None:
            oldest._release()


@functools.cache
def _centred_bounds(size):
    return galsim.BoundsI(-(size // 2), size - size // 2 - 1, -(size // 2), size - size // 2 - 1)


def make_profiles(stamps, pixel_scale, flux=None, half_light_radius=None, x_interpolant=None,
                  k_interpolant=None, pad_factor=None, gsparams=None):
    """Wrap stamps as interpolated images.

    Parameters:
        stamps:             Light profiles before PSF and pixel, float32 [N, S, S], flux per pixel.
        pixel_scale:        Size of a pixel [arcsec].
        flux:               Total fluxes to impose, [N].  [default: None, the sums of the stamps]
        half_light_radius:  Half-light radii to impose [arcsec], [N], by dilation.
                            [default: None, as the module made them]
        x_interpolant:      Interpolant in real space.  [default: galsim.Quintic]
        k_interpolant:      Interpolant in Fourier space.  [default: galsim.Quintic]
        pad_factor:         Zero padding for Fourier transforms, over the size of a stamp.
                            [default: `PADDING` over the extent of each galaxy's light]
        gsparams:           A `galsim.GSParams`.  [default: None]

    Returns:
        a list of N `StampProfile`.  Imposing is done while they are made rather than by
        transforming them afterwards, so that the type, and what can be asked of it, stay the same.

    Raises a `galsim.GalSimValueError` for a stamp without light.
    """
    if not len(stamps):
        return []
    shared = _shared(stamps.shape[1] % 2, x_interpolant, k_interpolant,
                     galsim.GSParams.check(gsparams))
    sums = stamps.sum(axis=(1, 2), dtype=float)
    if not sums.all():
        raise GalSimValueError("A stamp without light is not a light profile; its row:",
                               int(np.flatnonzero(sums == 0)[0]))
    interpolant, params = shared["_x_interpolant"], shared["_gsparams"]
    half = half_sizes(stamps, sums, params.folding_threshold)
    maxk = np.minimum(largest_frequencies(stamps, sums, params.maxk_threshold), interpolant.krange)
    scales = np.full(len(stamps), float(pixel_scale))
    if half_light_radius is not None:
        scales = np.asarray(half_light_radius, float) / [
            measured_radius(stamp, x_interpolant) for stamp in stamps]
    fluxes = sums if flux is None else np.asarray(flux, float)
    return [
        # A copy, lest a galaxy that is kept keeps all of its table.
        StampProfile(stamp.copy(), galsim.PixelScale(scale), shared,
                     _pad_size(len(stamp), size, pad_factor), flux, image_flux,
                     # In GalSim's order, for the same bits.
                     stepk=math.pi / (math.hypot(size, interpolant.xrange) * scale), maxk=top)
        for stamp, scale, flux, image_flux, size, top in zip(
            stamps, scales.tolist(), fluxes.tolist(), sums.tolist(), half.tolist(),
            (maxk / scales).tolist(), strict=True)]


@functools.lru_cache(maxsize=64)
def _shared(odd, x_interpolant, k_interpolant, gsparams):
    """What all profiles made alike have in common: attributes of `galsim.InterpolatedImage`."""
    size = 2 + odd  # by which the centre is in the middle of a pixel, or at a corner
    model = galsim.InterpolatedImage(
        galsim.Image(np.ones((size, size)), scale=1.0), x_interpolant=x_interpolant,
        k_interpolant=k_interpolant, gsparams=gsparams, calculate_stepk=False,
        calculate_maxk=False)
    return dict({name: getattr(model, name) for name in (
        "_offset", "_x_interpolant", "_k_interpolant", "_gsparams")},
        _calculate_stepk=True, _calculate_maxk=True)


@functools.lru_cache(maxsize=1024)
def _pad_size(size, half, pad_factor):
    """Pixels on a side of the padded grid for a stamp whose light reaches ``half`` pixels."""
    if pad_factor is None:
        wanted = max(PADDING * min(2 * half, size), LEAST_PADDING * size)
    else:
        wanted = pad_factor * size
    return galsim.Image.good_fft_size(math.ceil(wanted))


def make_profile(stamp, pixel_scale, flux=None, half_light_radius=None, **kwargs):
    """Wrap one stamp as an interpolated image that GalSim makes itself.

    Parameters:
        stamp:              Light profile before PSF and pixel, shape [S, S], flux per pixel.
        pixel_scale:        Size of a pixel [arcsec].
        flux:               Total flux to impose.  [default: None, the sum of the stamp]
        half_light_radius:  Half-light radius to impose [arcsec], by dilation.
                            [default: None, as the module made it]
        **kwargs:           Passed on to `galsim.InterpolatedImage`.

    Returns:
        a `galsim.InterpolatedImage`.
    """
    if half_light_radius is not None:
        pixel_scale = half_light_radius / measured_radius(stamp, kwargs.get("x_interpolant"))
    image = galsim.Image(np.ascontiguousarray(stamp), scale=pixel_scale)
    return galsim.InterpolatedImage(image, flux=flux, **kwargs)
