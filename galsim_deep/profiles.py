"""From stamps to GalSim profiles, with flux and half-light radius imposed where asked."""

__all__ = ["StampProfile", "make_profile", "make_profiles"]

import collections
import functools
import math
import threading

import galsim
import numpy as np
from galsim import GalSimRangeError, GalSimValueError

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
"""Of how many profiles each thread keeps what it made to draw them."""


class StampProfile(galsim.InterpolatedImage):
    """A `galsim.InterpolatedImage` that holds no more than its stamp.

    GalSim pads an image for Fourier transforms, in double precision, as soon as it is wrapped, and
    keeps it and its transform: 4 MB for a stamp of 64 kB.  Here that waits until the profile is
    drawn, and each thread keeps it of the `HELD` profiles alone that it has drawn last.  A profile
    is equal to the `galsim.InterpolatedImage` of the same stamp, flux, padding, stepk and maxk, and
    draws the same.

    Made by `make_profiles`.
    """

    def __init__(self, stamp, wcs, shared, pad_size, flux, image_flux, stepk, maxk):
        self.__dict__.update(shared)
        self._pad_size, self._pad_factor = pad_size, pad_size / len(stamp)
        self._stamp, self._wcs = stamp, wcs
        self._flux, self._image_flux = flux, image_flux
        self._stepk, self._maxk = stepk, maxk

    @property
    def _xim(self):
        size, padding = len(self._stamp), self._pad_size
        array = np.zeros((padding, padding))
        first = padding // 2 - size // 2
        array[first:first + size, first:first + size] = self._stamp
        return galsim._Image(array, _centred_bounds(padding), self._wcs)

    @property
    def _image(self):
        return galsim._Image(
            self._stamp.astype(float), _centred_bounds(len(self._stamp)), self._wcs)

    _pad_image = _image  # beyond it there is nothing

    @property
    def _sbp(self):
        # Whoever asks for this (profiles convolved in real space, say) may keep it, and it reads
        # the padded image for as long as it lives: so this one stays with the profile.
        if "_permanent" not in self.__dict__:
            self._permanent = self._padded()
        return self._permanent._sbp

    def _padded(self):
        """The same profile as GalSim would hold it."""
        padded = galsim.InterpolatedImage.__new__(galsim.InterpolatedImage)
        padded.__dict__.update(self.__getstate__(), _xim=self._xim)
        padded._image = padded._pad_image = padded._xim[_centred_bounds(len(self._stamp))]
        return padded

    def _getMaxK(self, calculate_maxk, force_maxk):  # asked when GSParams change
        return self._padded()._getMaxK(calculate_maxk, force_maxk)

    # What drawing comes down to.  There is one cache for each thread and there are no locks, which
    # a forked child would find locked.

    def _drawKImage(self, image, jac=None):
        _ready(self)._drawKImage(image, jac)

    def _drawReal(self, image, jac=None, offset=(0., 0.), flux_scaling=1.):
        _ready(self)._drawReal(image, jac, offset, flux_scaling)

    def _shoot(self, photons, rng):
        _ready(self)._shoot(photons, rng)

    def _xValue(self, pos):
        return _ready(self)._xValue(pos)

    def _kValue(self, kpos):
        return _ready(self)._kValue(kpos)

    @property
    def _centroid(self):
        return _ready(self)._centroid

    @property
    def _positive_flux(self):
        return _ready(self)._positive_flux

    @property
    def _negative_flux(self):
        return _ready(self)._negative_flux

    @property
    def _max_sb(self):
        return _ready(self)._max_sb

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items()
                if name not in ("_permanent", "_hash")}

    def __setstate__(self, state):
        self.__dict__.update(state)

    # Hashing and comparing are those of the base class, which Python forgets where one is defined.
    __eq__ = galsim.InterpolatedImage.__eq__
    __hash__ = galsim.InterpolatedImage.__hash__


class _Drawn(threading.local):
    """What this thread drew last: {id: (profile, the same as GalSim would hold it)}."""

    def __init__(self):
        self.profiles = collections.OrderedDict()


_drawn = _Drawn()


def _ready(profile):
    """A profile as GalSim would hold it, for this thread to draw."""
    profiles = _drawn.profiles
    if id(profile) in profiles:  # the profile is held as well, so that the number stays its own
        profiles.move_to_end(id(profile))
    else:
        profiles[id(profile)] = profile, profile._padded()
        if len(profiles) > HELD:
            profiles.popitem(last=False)
    return profiles[id(profile)][1]


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

    Raises a `galsim.GalSimError` for options that cannot be, even if there are no stamps, and for a
    stamp without light.
    """
    if pad_factor is not None and not pad_factor > 0:
        raise GalSimRangeError("Padding is a positive factor.", pad_factor, 0)
    shared = _shared(stamps.shape[1] % 2, x_interpolant, k_interpolant,
                     galsim.GSParams.check(gsparams))
    if not len(stamps):
        return []
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
        wanted = max(pad_factor, 1) * size
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
