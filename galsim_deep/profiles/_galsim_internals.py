"""Code that depends on undocumented internals of GalSim.

GalSim pads the image of a `galsim.InterpolatedImage` with zeros for its Fourier transforms, in
double precision, as soon as the profile is made, and keeps it: 4 MB for a stamp of 64 kB.
`StampProfile` does the same only when it is drawn.  For this it sets the attributes of the base
class itself, without calling its ``__init__``, and overrides what reads the padded image.

The tests of this file were run with the GalSim versions in `TRIED_WITH`.  They fail if a version of
GalSim lacks one of the names used here, or sets attributes that are not set here; if names are
missing, `check_galsim` raises an error before any profile is made.

This file would not be needed if `galsim.InterpolatedImage` built its padded image when it is first
drawn, and could drop it again; that would be a change for GalSim itself.
"""

__all__ = ["HELD_BYTES", "TRIED_WITH", "ProfileOptions", "StampProfile", "check_galsim",
           "profile_options"]

import collections
import functools
import threading
from typing import Any, NamedTuple

import galsim
import numpy as np
from galsim import GalSimError
from numpy.typing import NDArray

TRIED_WITH = ("2.6.3", "2.7.2", "2.8.5")
"""Versions of GalSim with which the tests of the profiles and of the config types passed."""

HELD_BYTES = 64 * 2**20
"""How many bytes of padded images and their transforms each thread keeps, of the profiles that it
drew last."""

# Methods and properties of galsim.InterpolatedImage through which GalSim draws, shoots and
# evaluates a profile.  StampProfile overrides each by that of the padded profile.
_METHODS = ("_drawKImage", "_drawReal", "_kValue", "_shoot", "_xValue")
_PROPERTIES = ("_centroid", "_max_sb", "_negative_flux", "_positive_flux")
# What else is overridden or called.
_OTHERS = ("_getMaxK", "_getStepK", "_sbp", "__eq__", "__hash__", "__getstate__", "__setstate__")
# All that __init__ sets.  Of a StampProfile the first three are properties.
_ATTRIBUTES = frozenset((
    "_image", "_pad_image", "_xim",
    "_calculate_maxk", "_calculate_stepk", "_flux", "_gsparams", "_image_flux", "_k_interpolant",
    "_maxk", "_offset", "_pad_factor", "_stepk", "_wcs", "_x_interpolant"))


@functools.cache
def check_galsim() -> None:
    """Check that this version of GalSim has the internal names that `StampProfile` uses.

    Raises:
        GalSimError:    A name is missing.
    """
    missing = [name for name in (*_METHODS, *_PROPERTIES, *_OTHERS)
               if name not in vars(galsim.InterpolatedImage)]
    if not missing:
        profile = galsim.InterpolatedImage(
            galsim.Image(np.ones((2, 2)), scale=1.0), calculate_stepk=False, calculate_maxk=False)
        missing = sorted(_ATTRIBUTES - set(vars(profile)))
    if missing:
        raise GalSimError(
            f"This version of GalSim-Deep does not work with GalSim {galsim.__version__}: "
            f"galsim.InterpolatedImage has no {', '.join(missing)}. Update GalSim-Deep, or install "
            f"GalSim {TRIED_WITH[-1]}.")


class ProfileOptions(NamedTuple):
    """The options that all profiles of one call have in common.

    Attributes:
        x_interpolant:  The interpolant in real space, a `galsim.Interpolant`.
        gsparams:       A `galsim.GSParams`.
        attributes:     The attributes of `galsim.InterpolatedImage` that do not depend on the
                        stamp: {name: value}.

    Example:

        >>> options = profile_options(odd=True, x_interpolant="lanczos5")
        >>> type(options.x_interpolant).__name__, options.x_interpolant.n
        ('Lanczos', 5)
    """

    x_interpolant: Any
    gsparams: Any
    attributes: dict[str, Any]


@functools.lru_cache(maxsize=64)
def profile_options(odd: bool, x_interpolant: Any = None, k_interpolant: Any = None,
                    gsparams: Any = None) -> ProfileOptions:
    """Check the options of profiles, and find what they have in common.

    Parameters:
        odd:            Whether the stamps have an odd number of pixels on a side.  Their centre is
                        in the middle of a pixel then, and otherwise at the corner of one.
        x_interpolant:  Interpolant in real space.  [default: None, galsim.Quintic]
        k_interpolant:  Interpolant in Fourier space.  [default: None, galsim.Quintic]
        gsparams:       A `galsim.GSParams`.  [default: None]

    Raises:
        GalSimError:    There is no such interpolant, or GalSim lacks what is needed here.
    """
    check_galsim()
    size = 2 + odd
    profile = galsim.InterpolatedImage(
        galsim.Image(np.ones((size, size)), scale=1.0), x_interpolant=x_interpolant,
        k_interpolant=k_interpolant, gsparams=gsparams, calculate_stepk=False,
        calculate_maxk=False)
    attributes = {name: getattr(profile, name) for name in (
        "_offset", "_x_interpolant", "_k_interpolant", "_gsparams")}
    return ProfileOptions(profile.x_interpolant, profile.gsparams,
                          dict(attributes, _calculate_stepk=True, _calculate_maxk=True))


class StampProfile(galsim.InterpolatedImage):
    """A `galsim.InterpolatedImage` that keeps nothing but its stamp.

    The padded image is made when the profile is drawn.  Each thread keeps the padded images of the
    profiles that it drew last, up to `HELD_BYTES`.

    A profile equals the `galsim.InterpolatedImage` of the same stamp, flux, padding, stepk and maxk
    (``==``, ``hash`` and ``repr`` are GalSim's), and draws the same pixels.  `make_profiles` makes
    them.

    Parameters:
        stamp:          Light before PSF and pixel, float32 [S, S], flux per pixel.  It is kept, not
                        copied.
        pixel_scale:    Size of a pixel [arcsec].
        options:        Interpolants, GSParams and centre.
        pad_size:       Pixels on a side of the padded image.
        flux:           Total flux of the profile.
        image_flux:     Sum of the stamp.
        stepk, maxk:    As in `galsim.GSObject` [radians/arcsec].

    Example:

        >>> stamp = np.ones((8, 8), np.float32)
        >>> profile = StampProfile(stamp, 0.2, profile_options(odd=False), pad_size=32, flux=64.0,
        ...                        image_flux=64.0, stepk=1.0, maxk=15.0)
        >>> bool(np.isclose(profile.drawImage(nx=16, ny=16, scale=0.2).array.sum(), 64, rtol=0.01))
        True
    """

    def __init__(self, stamp: NDArray[np.float32], pixel_scale: float, options: ProfileOptions,
                 pad_size: int, flux: float, image_flux: float, stepk: float, maxk: float
                 ) -> None:
        self.__dict__.update(options.attributes)
        self._pad_size, self._pad_factor = pad_size, pad_size / len(stamp)
        self._stamp, self._wcs = stamp, galsim.PixelScale(pixel_scale)
        self._flux, self._image_flux = flux, image_flux
        self._stepk, self._maxk = stepk, maxk

    @property
    def _xim(self) -> galsim.Image:
        """The padded image."""
        size, padded_size = len(self._stamp), self._pad_size
        array = np.zeros((padded_size, padded_size))
        first = padded_size // 2 - size // 2
        array[first:first + size, first:first + size] = self._stamp
        return galsim._Image(array, _centred_bounds(padded_size), self._wcs)

    @property
    def _image(self) -> galsim.Image:
        """The stamp as an image in double precision."""
        return galsim._Image(
            self._stamp.astype(float), _centred_bounds(len(self._stamp)), self._wcs)

    _pad_image = _image  # the padding is zero

    @property
    def _sbp(self) -> Any:
        # The C++ object needs the padded image during its whole lifetime.  GalSim reads `_sbp` if
        # another C++ object (for example of a convolution in real space) will keep a reference to
        # it.  The padded profile is therefore kept as long as this profile.
        if "_permanent" not in self.__dict__:
            self._permanent = self._padded()
        return self._permanent._sbp

    def _padded(self) -> galsim.InterpolatedImage:
        """The same profile as GalSim makes it, with a padded image."""
        padded = galsim.InterpolatedImage.__new__(galsim.InterpolatedImage)
        padded.__dict__.update(self.__getstate__(), _xim=self._xim)
        padded._image = padded._pad_image = padded._xim[_centred_bounds(len(self._stamp))]
        return padded

    def _getMaxK(self, calculate_maxk: Any, force_maxk: float) -> float:
        """Called by `withGSParams`."""
        return self._padded()._getMaxK(calculate_maxk, force_maxk)

    # GalSim calls these methods and properties to draw, shoot and evaluate a profile (`_METHODS`,
    # `_PROPERTIES`).

    def _drawKImage(self, image: galsim.Image, jac: Any = None) -> None:
        _held.padded(self)._drawKImage(image, jac)

    def _drawReal(self, image: galsim.Image, jac: Any = None,
                  offset: tuple[float, float] = (0., 0.), flux_scaling: float = 1.) -> None:
        _held.padded(self)._drawReal(image, jac, offset, flux_scaling)

    def _kValue(self, kpos: galsim.PositionD) -> complex:
        return _held.padded(self)._kValue(kpos)

    def _shoot(self, photons: galsim.PhotonArray, rng: galsim.BaseDeviate) -> None:
        _held.padded(self)._shoot(photons, rng)

    def _xValue(self, pos: galsim.PositionD) -> float:
        return _held.padded(self)._xValue(pos)

    @property
    def _centroid(self) -> galsim.PositionD:
        return _held.padded(self)._centroid

    @property
    def _max_sb(self) -> float:
        return _held.padded(self)._max_sb

    @property
    def _negative_flux(self) -> float:
        return _held.padded(self)._negative_flux

    @property
    def _positive_flux(self) -> float:
        return _held.padded(self)._positive_flux

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items()
                if name not in ("_permanent", "_hash")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    __eq__ = galsim.InterpolatedImage.__eq__
    # Python sets __hash__ to None in a class that defines __eq__.
    __hash__ = galsim.InterpolatedImage.__hash__


class _HeldProfiles(threading.local):
    """The padded profiles that this thread drew last.

    Each thread has its own, so that none waits for another, and no lock is left locked in the child
    of a fork.

    Attributes:
        profiles:   {id of a profile: (the profile, the padded one)}, the latest at the end.  The
                    profile itself is kept as well, so that its id is not given to another one.
        bytes:      How many bytes the padded profiles take.
    """

    def __init__(self) -> None:
        self.profiles: collections.OrderedDict[
            int, tuple[StampProfile, galsim.InterpolatedImage]] = collections.OrderedDict()
        self.bytes = 0

    def padded(self, profile: StampProfile) -> galsim.InterpolatedImage:
        """The padded profile to draw instead of this one."""
        profiles, key = self.profiles, id(profile)
        if key in profiles:
            profiles.move_to_end(key)
            return profiles[key][1]
        padded = profile._padded()
        profiles[key] = profile, padded
        self.bytes += _bytes(profile)
        while self.bytes > HELD_BYTES and len(profiles) > 1:
            _, (oldest, _) = profiles.popitem(last=False)
            self.bytes -= _bytes(oldest)
        return padded


_held = _HeldProfiles()


def _bytes(profile: StampProfile) -> int:
    """Memory of a padded profile [bytes]: float64 pixels and half a Fourier plane of complex128."""
    return 16 * profile._pad_size**2


@functools.cache
def _centred_bounds(size: int) -> galsim.BoundsI:
    return galsim.BoundsI(-(size // 2), size - size // 2 - 1, -(size // 2), size - size // 2 - 1)
