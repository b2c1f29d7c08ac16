"""The half-light radius of a stamp."""

__all__ = ["measured_radius"]

import galsim
import numpy as np


def measured_radius(stamp, x_interpolant=None):
    """Half-light radius of a stamp about its centroid [pixels], interpolated as it will be.

    Within 1 % of `galsim.GSObject.calculateHLR` on a finely drawn profile, also for galaxies that
    are hardly larger than a pixel.
    """
    stamp = np.asarray(stamp, float)
    total = stamp.sum()
    y, x = np.indices(stamp.shape)
    x0, y0 = (x * stamp).sum() / total, (y * stamp).sum() / total
    radius = _half_light(stamp, np.hypot(x - x0, y - y0), total)
    if radius < _SMALL:
        # The circle cuts too few pixels: look again on a grid that is finer by as much as needed.
        fine = 1 / 8
        middle = 0.5 * (np.array(stamp.shape) - 1)
        image = galsim.InterpolatedImage(
            galsim.Image(stamp, scale=1.0), x_interpolant=x_interpolant, calculate_stepk=False,
            calculate_maxk=False).shift(middle[1] - x0, middle[0] - y0)
        size = 2 * int(2 * _SMALL / fine)
        zoomed = image.drawImage(nx=size, ny=size, scale=fine, method="no_pixel", dtype=float)
        y, x = np.indices(zoomed.array.shape) - 0.5 * (size - 1)
        radius = fine * _half_light(zoomed.array, np.hypot(x, y), total)
    return radius


# Below this radius [pixels] a stamp is too coarse for `_half_light`.
_SMALL = 4.0


def _half_light(image, distance, total):
    """The radius [pixels] of the circle that holds half of ``total``.

    A pixel on the circle counts by the share of it that lies inside, for which a linear ramp one
    pixel wide is good enough when the circle is some pixels wide.
    """
    low, high = 0.0, float(distance.max())
    while high - low > 1e-4 * high:
        radius = 0.5 * (low + high)
        inside = (image * np.clip(radius - distance + 0.5, 0.0, 1.0)).sum()
        low, high = (radius, high) if inside < 0.5 * total else (low, radius)
    return radius
