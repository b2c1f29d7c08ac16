"""Measured size and magnitude of a generated galaxy, for comparison with those that its columns
request."""

__all__ = ["measured_columns"]

import numpy as np

from ..measure.half_light import measured_radius
from ..modules.card import Card
from ..observations.units import arcsec_of


def measured_columns(stamp: np.ndarray, convolved: np.ndarray, card: Card,
                     pixel_scale: float, profile_scale: float | None = None) -> dict[str, float]:
    """Half-light radius and magnitude of a generated galaxy, without noise.

    Parameters:
        stamp:          The profile as the module made it, before PSF, shape [S, S].
        convolved:      The profile through the PSF, without noise, on pixels of ``pixel_scale``.
        card:           The card of the module.
        pixel_scale:    Size of a pixel of ``convolved`` [arcsec].
        profile_scale:  Size of a pixel of ``stamp`` [arcsec].  [default: that of the card]

    Returns:
        a dict of ``size``, the half-light radius in the unit of the column that measures it (of the
        convolved image if the column is defined as observed, otherwise of the profile), and
        ``magnitude``.  NaN if the module has no such column, or the profile no positive flux.
    """
    measured = dict(size=np.nan, magnitude=np.nan)
    total = stamp.sum()
    if not (np.isfinite(total) and total > 0):
        return measured
    if card.column_of("magnitude") is not None:
        measured["magnitude"] = card.band().zero_point - 2.5 * np.log10(total)
    column = card.column_of("half_light_radius")
    if column is not None:
        if column.as_observed:
            # The light of a strange profile may cancel, so that it has no image.
            has_image = 0 < convolved.sum() < np.inf
            radius = measured_radius(convolved) * pixel_scale if has_image else np.nan
        else:
            radius = measured_radius(stamp) * (profile_scale or card.pixel_scale)
        measured["size"] = radius / arcsec_of(column.unit, card.pixel_scale)
    return measured
