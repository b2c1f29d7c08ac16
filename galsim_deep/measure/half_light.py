"""The half-light radius of a stamp."""

__all__ = ["measured_radius"]

import galsim
import numpy as np
from numpy.typing import ArrayLike

_SMALL = 4.0
"""Below this radius [pixels] the pixels of a stamp are too coarse for `_half_light_radius`."""


def measured_radius(stamp: ArrayLike, x_interpolant: str | galsim.Interpolant | None = None
                    ) -> float:
    """Half-light radius of a stamp about its centroid.

    It agrees with `galsim.GSObject.calculateHLR` on a finely drawn profile within 1 %, also for
    galaxies that are hardly larger than a pixel: these are interpolated onto a finer grid first.

    Parameters:
        stamp:          Shape [S, S], flux per pixel, with a positive sum.
        x_interpolant:  The interpolant for small galaxies, as `galsim.InterpolatedImage` takes it.
                        [default: None, GalSim's default]

    Returns:
        the radius [pixels] of the circle about the centroid that holds half of the flux.

    Example::

        >>> import galsim
        >>> stamp = galsim.Gaussian(half_light_radius=6.0).drawImage(nx=64, ny=64, scale=1.0).array
        >>> round(measured_radius(stamp), 1)
        6.0
    """
    stamp = np.asarray(stamp, float)
    total = stamp.sum()
    y, x = np.indices(stamp.shape)
    x0, y0 = (x * stamp).sum() / total, (y * stamp).sum() / total
    radius = _half_light_radius(stamp, np.hypot(x - x0, y - y0), total)
    if radius < _SMALL:
        # The circle cuts too few pixels: measure again on a finer grid.
        fine = 1 / 8
        middle = 0.5 * (np.array(stamp.shape) - 1)
        image = galsim.InterpolatedImage(
            galsim.Image(stamp, scale=1.0), x_interpolant=x_interpolant, calculate_stepk=False,
            calculate_maxk=False).shift(middle[1] - x0, middle[0] - y0)
        size = 2 * int(2 * _SMALL / fine)
        zoomed = image.drawImage(nx=size, ny=size, scale=fine, method="no_pixel", dtype=float)
        y, x = np.indices(zoomed.array.shape) - 0.5 * (size - 1)
        radius = fine * _half_light_radius(zoomed.array, np.hypot(x, y), total)
    return radius


def _half_light_radius(image: np.ndarray, distance: np.ndarray, total: float) -> float:
    """The radius [pixels] of the circle that holds half of a flux, by bisection.

    The share of a pixel on the circle that lies inside is approximated by a linear ramp one pixel
    wide, which is accurate enough for circles of some pixels.

    Parameters:
        image:      Shape [S, S].
        distance:   Distance of each pixel from the centre [pixels], shape [S, S].
        total:      The whole flux.
    """
    low, high = 0.0, float(distance.max())
    radius = 0.5 * high
    while high - low > 1e-4 * high:
        radius = 0.5 * (low + high)
        inside = (image * np.clip(radius - distance + 0.5, 0.0, 1.0)).sum()
        low, high = (radius, high) if inside < 0.5 * total else (low, radius)
    return radius
