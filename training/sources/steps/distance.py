"""Moving a nearby galaxy to where its pixel spans the size that 0.03 arcsec span."""

import numpy as np
from astropy.cosmology import Planck18

PIXEL = 0.03
"""Size that the pixel of a moved galaxy is said to have [arcsec]."""
FARTHEST = 1.6
"""Largest redshift to which a galaxy is moved; there the angular diameter distance is largest."""

_REDSHIFTS = np.geomspace(1e-4, FARTHEST, 2000)
_ANGULAR = Planck18.angular_diameter_distance(_REDSHIFTS).value


def moved_redshift(redshift: float, pixel_scale: float) -> float:
    """The redshift at which `PIXEL` spans the size [kpc] that a pixel spans at a galaxy.

    >>> round(moved_redshift(0.022, 0.396), 2)
    0.45
    """
    wanted = Planck18.angular_diameter_distance(redshift).value * pixel_scale / PIXEL
    return float(np.interp(wanted, _ANGULAR, _REDSHIFTS))


def dimming(redshift: float, to: float) -> float:
    """By how much a galaxy is fainter at another redshift [mag], without K-correction."""
    far, near = Planck18.luminosity_distance([to, redshift]).value
    return float(5 * np.log10(far / near))
