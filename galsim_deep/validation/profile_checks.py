"""Checks of a generated light profile by itself, without a real galaxy to compare it with."""

__all__ = ["RING", "check_profile", "subpixel_changes"]

import galsim
import numpy as np
from numpy.typing import ArrayLike

from ..measure.moments import adaptive_moments
from ..observations.observation import Observation

RING = 4
"""Width of the outer ring [pixels]."""


def check_profile(stamp: ArrayLike) -> dict[str, float]:
    """Count faulty pixels of a profile, and measure its edge, centroid and ellipticity.

    Faulty pixels are those that are not finite or negative.

    Parameters:
        stamp:      The profile as the module made it, before PSF, shape [S, S].

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
    not_finite = float((~np.isfinite(stamp)).sum())
    if not_finite or stamp.sum() <= 0:
        names = ("negative", "edge_flux", "ring_flux", "offset_x", "offset_y", "e1", "e2")
        return dict(dict.fromkeys(names, np.nan), not_finite=not_finite)
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
        not_finite=not_finite, negative=float((stamp < 0).sum()),
        edge_flux=1 - stamp[1:-1, 1:-1].sum() / total,
        ring_flux=1 - stamp[RING:-RING, RING:-RING].sum() / total,
        offset_x=x0, offset_y=y0,
        e1=(qxx - qyy) / extent, e2=2 * qxy / extent)


def subpixel_changes(profile: galsim.GSObject, observation: Observation) -> dict[str, float]:
    """How much the measured size, flux and shape depend on the position within a pixel.

    The profile is drawn without noise at four positions half a pixel apart.

    Parameters:
        profile:        A GSObject.
        observation:    The `Observation` with the PSF and the pixels.

    Returns:
        a dict of the largest differences between the positions: ``size`` and ``flux`` (relative),
        ``g`` (of either component); NaN if moments fail.
    """
    sizes, fluxes, shears = [], [], []
    for dx, dy in [(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)]:
        scale = observation.pixel_scale
        drawn = observation.convolved(profile.shift(dx * scale, dy * scale))
        moments = adaptive_moments(drawn)
        if moments is None:
            return dict.fromkeys(("size", "flux", "g"), np.nan)
        sizes.append(moments.moments_sigma)
        fluxes.append(drawn.sum())
        shears.append((moments.observed_shape.g1, moments.observed_shape.g2))
    return dict(size=np.ptp(sizes) / np.mean(sizes), flux=np.ptp(fluxes) / abs(np.mean(fluxes)),
                g=float(np.ptp(shears, axis=0).max()))
