"""What can be wrong with a light profile by itself, without any real galaxy to compare it with."""

__all__ = ["check_profile", "subpixel_changes"]

import numpy as np

from .moments import adaptive_moments

RING = 4
"""Width of the outer ring [pixels]."""


def check_profile(stamp):
    """Look at a profile as the module made it.

    Parameters:
        stamp:      Before PSF, shape [S, S].

    Returns:
        a dict of
        ``not_finite``  number of pixels that are not finite (if any, or if the flux is not
                        positive, the rest is NaN),
        ``negative``    number of pixels below zero,
        ``edge_flux``   share of the flux in the outermost pixels,
        ``ring_flux``   share of the flux in the outer ring of `RING` pixels,
        ``offset_x``, ``offset_y``  centroid from the true centre [pixels],
        ``e1``, ``e2``  ellipticity (Qxx - Qyy, 2 Qxy) / (Qxx + Qyy) of unweighted moments.
    """
    stamp = np.asarray(stamp, float)
    found = dict(not_finite=float((~np.isfinite(stamp)).sum()))
    if found["not_finite"] or stamp.sum() <= 0:
        names = ("negative", "edge_flux", "ring_flux", "offset_x", "offset_y", "e1", "e2")
        return {**found, **dict.fromkeys(names, np.nan)}
    total = stamp.sum()
    y, x = np.indices(stamp.shape, float)
    x -= (stamp.shape[1] - 1) / 2
    y -= (stamp.shape[0] - 1) / 2
    x0, y0 = (x * stamp).sum() / total, (y * stamp).sum() / total
    qxx = (stamp * (x - x0) ** 2).sum()
    qyy = (stamp * (y - y0) ** 2).sum()
    qxy = (stamp * (x - x0) * (y - y0)).sum()
    extent = qxx + qyy if qxx + qyy > 0 else np.nan
    return dict(
        found, negative=float((stamp < 0).sum()),
        edge_flux=1 - stamp[1:-1, 1:-1].sum() / total,
        ring_flux=1 - stamp[RING:-RING, RING:-RING].sum() / total,
        offset_x=x0, offset_y=y0,
        e1=(qxx - qyy) / extent, e2=2 * qxy / extent)


def subpixel_changes(profile, observation):
    """How much what is measured depends on where in a pixel a profile falls.

    The profile is drawn without noise at four positions half a pixel apart.

    Parameters:
        profile:        A GSObject.
        observation:    The `Observation` to draw it like.

    Returns:
        a dict of the largest differences between the positions: ``size`` and ``flux`` (relative),
        ``g`` (of either component); NaN where moments fail.
    """
    sizes, fluxes, shears = [], [], []
    for dx, dy in [(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)]:
        scale = observation.pixel_scale
        drawn = observation.convolved(profile.shift(dx * scale, dy * scale))
        found = adaptive_moments(drawn)
        if found is None:
            return dict.fromkeys(("size", "flux", "g"), np.nan)
        sizes.append(found.moments_sigma)
        fluxes.append(drawn.sum())
        shears.append((found.observed_shape.g1, found.observed_shape.g2))
    return dict(size=np.ptp(sizes) / np.mean(sizes), flux=np.ptp(fluxes) / abs(np.mean(fluxes)),
                g=float(np.ptp(shears, axis=0).max()))
