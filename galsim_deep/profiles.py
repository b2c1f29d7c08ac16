"""From stamps to GalSim profiles, with flux and half-light radius imposed where asked."""

__all__ = ["StampProfile", "make_profile", "make_profiles"]

import functools
import math

import galsim
import numpy as np
from galsim import GalSimValueError

from .extents import half_sizes, largest_frequencies
from .half_light import measured_radius


class StampProfile(galsim.InterpolatedImage):
    """A `galsim.InterpolatedImage` that holds no more than its stamp until it is drawn.

    GalSim pads an image for Fourier transforms, in double precision, as soon as it is wrapped:
    2 MB for a stamp of 64 kB.  Here that waits until something needs it.  It is equal to the
    `galsim.InterpolatedImage` of the same stamp, flux, stepk and maxk, and draws the same.

    Made by `make_profiles`.
    """

    def __init__(self, stamp, wcs, shared, flux, image_flux, stepk, maxk):
        self.__dict__.update(shared)
        self._stamp, self._wcs = stamp, wcs
        self._flux, self._image_flux = flux, image_flux
        self._stepk, self._maxk = stepk, maxk

    @functools.cached_property
    def _image(self):
        image = galsim.Image(np.asarray(self._stamp, float))
        return self._centred(image)

    @property
    def _pad_image(self):
        return self._image  # beyond it there is nothing

    @functools.cached_property
    def _xim(self):
        padded = self._centred(galsim.Image(self._pad_size, self._pad_size, dtype=float))
        padded[self._image.bounds] = self._image
        return padded

    def _centred(self, image):
        image.setCenter(0, 0)
        image.wcs = self._wcs
        return image

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items()
                if name not in ("_sbp", "_sbii", "_xim", "_image")}

    def __setstate__(self, state):
        self.__dict__.update(state)

    # Hashing and comparing are those of the base class, which Python forgets where one is defined.
    __eq__ = galsim.InterpolatedImage.__eq__
    __hash__ = galsim.InterpolatedImage.__hash__


def make_profiles(stamps, pixel_scale, flux=None, half_light_radius=None, x_interpolant=None,
                  k_interpolant=None, pad_factor=4.0, gsparams=None):
    """Wrap stamps as interpolated images.

    Parameters:
        stamps:             Light profiles before PSF and pixel, float32 [N, S, S], flux per pixel.
        pixel_scale:        Size of a pixel [arcsec].
        flux:               Total fluxes to impose, [N].  [default: None, the sums of the stamps]
        half_light_radius:  Half-light radii to impose [arcsec], [N], by dilation.
                            [default: None, as the module made them]
        x_interpolant:      Interpolant in real space.  [default: galsim.Quintic]
        k_interpolant:      Interpolant in Fourier space.  [default: galsim.Quintic]
        pad_factor:         Zero padding for Fourier transforms.  [default: 4]
        gsparams:           A `galsim.GSParams`.  [default: None]

    Returns:
        a list of N `StampProfile`.  Imposing is done while they are made rather than by
        transforming them afterwards, so that the type, and what can be asked of it, stay the same.

    Raises a `galsim.GalSimValueError` for a stamp without light.
    """
    if not len(stamps):
        return []
    shared = _shared(stamps.shape[1], x_interpolant, k_interpolant, pad_factor,
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
        StampProfile(stamp, galsim.PixelScale(scale), shared, flux, image_flux,
                     # In GalSim's order, for the same bits.
                     stepk=math.pi / (math.hypot(size, interpolant.xrange) * scale), maxk=top)
        for stamp, scale, flux, image_flux, size, top in zip(
            stamps, scales.tolist(), fluxes.tolist(), sums.tolist(), half.tolist(),
            (maxk / scales).tolist(), strict=True)]


@functools.lru_cache(maxsize=64)
def _shared(size, x_interpolant, k_interpolant, pad_factor, gsparams):
    """What all profiles made alike have in common: attributes of `galsim.InterpolatedImage`."""
    image = galsim.Image(size, size, scale=1.0, dtype=float)
    model = galsim.InterpolatedImage(
        image, x_interpolant=x_interpolant, k_interpolant=k_interpolant, pad_factor=pad_factor,
        gsparams=gsparams, calculate_stepk=False, calculate_maxk=False)
    shared = {name: getattr(model, name) for name in (
        "_offset", "_x_interpolant", "_k_interpolant", "_gsparams", "_pad_factor")}
    return dict(shared, _pad_size=len(model._xim.array), _calculate_stepk=True,
                _calculate_maxk=True)


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
