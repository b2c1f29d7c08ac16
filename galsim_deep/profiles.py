"""From a stamp to a GalSim profile, with flux and half-light radius imposed where asked."""

__all__ = ["make_profile", "measured_radius"]

import galsim
import numpy as np


def make_profile(stamp, pixel_scale, flux=None, half_light_radius=None, **kwargs):
    """Wrap a stamp as an interpolated image.

    Parameters:
        stamp:              Light profile before PSF and pixel, shape [S, S], flux per pixel.
        pixel_scale:        Size of a pixel [arcsec].
        flux:               Total flux to impose.  [default: None, the sum of the stamp]
        half_light_radius:  Half-light radius to impose [arcsec], by dilation.
                            [default: None, as the module made it]
        **kwargs:           Passed on to `galsim.InterpolatedImage`.

    Returns:
        a `galsim.InterpolatedImage`.  Imposing is done while it is made rather than by
        transforming it afterwards, so that the type, and what can be asked of it, stay the same.
    """
    if half_light_radius is not None:
        pixel_scale = half_light_radius / measured_radius(stamp, kwargs.get("x_interpolant"))
    image = galsim.Image(np.ascontiguousarray(stamp), scale=pixel_scale)
    return galsim.InterpolatedImage(image, flux=flux, **kwargs)


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
