"""Galaxies that were cut out along the edge of a segment, continued beyond it.

Some stamps are exactly zero outside of a segment (the pixels that a detection assigned to the
galaxy), and end there with a hard edge.  Real galaxies have no such edge.  Their light is therefore
extrapolated outwards.
"""

__all__ = ["extrapolated_beyond_edge"]

import numpy as np
from scipy import ndimage

BAND = 4.0
"""Width of the outermost strip of a segment, whose surface brightness is extrapolated [pixels]."""
BLEND = 3.0
"""Depth inside the edge over which the stamp changes into the smooth extrapolation [pixels]."""
REACH = 6.0
"""Distance from the edge at which the extrapolated light ends [scale lengths]."""
STEEPEST, SHALLOWEST = 0.05, 0.35
"""Limits of the scale length, in units of the largest distance of a pixel of the segment to its
edge."""
SHORTEST = 1.0
"""Smallest scale length [pixels]: with a shorter one an edge would be visible."""
SMALLEST_PIECE = 0.02
"""Pieces of a segment with a smaller area than this, relative to the largest one, are dropped."""


def extrapolated_beyond_edge(image: np.ndarray, expected_scale: float) -> np.ndarray:
    """Extrapolate the light of a galaxy beyond the edge of its segment.

    From each point of the edge outwards, the local mean surface brightness falls off exponentially.
    Irregular galaxies end more abruptly than the slope of their outer part suggests, and the slope
    of a galaxy with bright arms near its edge is too shallow.  The scale length along the major
    axis is therefore the harmonic mean of that of the outer part and of ``expected_scale``; along
    the minor axis it is shorter by the axis ratio.  Just inside the edge the segment contains only
    the brighter pixels, above its threshold; there the stamp changes smoothly into the
    extrapolation.  The light reaches exactly zero within the returned stamp.

    Parameters:
        image:          Shape [s, s], zero outside of the segment.
        expected_scale: Scale length at the edge, according to the Sersic profile that fits the
                        galaxy best [pixels along the major axis].

    Returns:
        float64, shape [t, t]: square, t even, and just large enough.

    Example::

        >>> galaxy = galsim.Exponential(scale_radius=6.0)
        >>> whole = galaxy.drawImage(nx=160, ny=160, scale=1.0, method="no_pixel").array
        >>> cut = np.where(whole > 0.03 * whole.max(), whole, 0.0)
        >>> light = extrapolated_beyond_edge(cut, 6.0)
        >>> round(float(cut.sum() / whole.sum()), 2), round(float(light.sum() / whole.sum()), 2)
        (0.88, 1.01)
    """
    segment = _without_small_pieces(ndimage.binary_fill_holes(image > 0))
    image, segment = _framed(_filled(np.where(segment, image, 0.0), segment), segment)
    metric = _isophote_metric(image)
    depth = ndimage.distance_transform_edt(segment)
    own_scale = _outer_scale(image, segment, depth, metric)
    scale = max(SHORTEST, 2 / (1 / own_scale + 1 / expected_scale))
    pad = int(np.ceil(REACH * scale)) + 2
    image, segment, depth = (np.pad(array, pad) for array in (image, segment, depth))
    distance, nearest = _to_the_segment(segment, metric)
    return _framed(_extrapolated(image, segment, depth, scale, distance, nearest))[0]


def _extrapolated(image: np.ndarray, segment: np.ndarray, depth: np.ndarray, scale: float,
                  distance: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """`extrapolated_beyond_edge` with a given scale length [pixels].

    Parameters:
        image, segment:     Shape [t, t].
        depth:              Distance of each pixel of the segment to its edge [pixels], [t, t].
        scale:              Scale length along the major axis [pixels].
        distance, nearest:  As `_to_the_segment` returns them.
    """
    # The mean surface brightness along the edge, from a strip inside it.
    strip = segment & (depth <= BAND)
    weight = ndimage.gaussian_filter(strip.astype(float), BAND)
    average = ndimage.gaussian_filter(np.where(strip, image, 0.0), BAND)
    average = np.where(weight > 1e-12, average / np.maximum(weight, 1e-12), 0.0)
    # The strip is brighter on average than the edge itself, by the slope over half its width.
    slope = 1 / max(scale, BAND)
    average = average * np.exp(-0.5 * slope * (BAND - 2 * depth.clip(0, BAND)))
    remaining = np.clip(1 - distance / (REACH * scale), 0, 1)
    tail = average[tuple(nearest)] * np.exp(-distance / scale) * np.clip(4 * remaining, 0, 1)
    # The nearest pixel of the segment is discontinuous between neighbouring directions.
    tail = ndimage.gaussian_filter(np.where(segment, average, tail), 1.5) * (remaining > 0)
    blend = np.clip(depth / BLEND, 0, 1)
    blend = blend * blend * (3 - 2 * blend)
    return np.where(segment, blend * image, 0.0) + (1 - blend) * tail


def _filled(image: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Fill the holes of a segment, where pixels fell below its threshold, from their surroundings.
    """
    hole = segment & (image <= 0)
    weight = ndimage.gaussian_filter((~hole & segment).astype(float), 1.5)
    around = ndimage.gaussian_filter(np.where(hole, 0.0, image), 1.5) / np.maximum(weight, 1e-12)
    # Wide holes are sky between the arms of a galaxy, and stay dark in their middle.
    depth = ndimage.distance_transform_edt(hole)
    return np.where(hole, around * np.exp(-0.5 * depth), image)


def _without_small_pieces(segment: np.ndarray) -> np.ndarray:
    """A segment without pieces that are very small compared with the largest (`SMALLEST_PIECE`)."""
    pieces, count = ndimage.label(segment, np.ones((3, 3)))
    areas = np.bincount(pieces.ravel(), minlength=count + 1)
    areas[0] = 0
    return (areas >= SMALLEST_PIECE * areas.max())[pieces]


def _framed(image: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Cut or pad images alike, to a square about the bounding box of the first one's light."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    # At least one pixel without light on each side.
    side = (max(np.ptp(rows), np.ptp(columns)) + 5) // 2 * 2
    corner = [(axis[0] + axis[-1]) // 2 - side // 2 for axis in (rows, columns)]
    square = tuple(slice(start + side, start + 2 * side) for start in corner)
    return [np.pad(array, side)[square] for array in (image, *others)]


def _isophote_metric(image: np.ndarray) -> np.ndarray:
    """A matrix M [2, 2] such that |M (y, x)| is equal along an isophote.

    It is the inverse square root of the second moments, scaled to 1 along the major axis.
    """
    y, x = np.indices(image.shape)
    weight = image / image.sum()
    y, x = y - (weight * y).sum(), x - (weight * x).sum()
    moments = np.array([[(weight * y * y).sum(), (weight * x * y).sum()],
                        [(weight * x * y).sum(), (weight * x * x).sum()]])
    values, vectors = np.linalg.eigh(moments)
    ratios = np.sqrt(np.maximum(values[1] / np.maximum(values, 1e-12), 1.0)).clip(1, 5)
    return vectors @ np.diag(ratios) @ vectors.T


def _to_the_segment(segment: np.ndarray, metric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest pixel of the segment, for each pixel of the stamp.

    Returns:
        (its distance in the metric [pixels along the major axis], [t, t]; its indices, [2, t, t]).
    """
    nearest = ndimage.distance_transform_edt(~segment, return_distances=False,
                                             return_indices=True)
    step = np.indices(segment.shape) - nearest
    return np.hypot(*np.tensordot(metric, step, 1)), nearest


def _outer_scale(image: np.ndarray, segment: np.ndarray, depth: np.ndarray,
                 metric: np.ndarray) -> float:
    """Exponential scale length of the light near the edge [pixels along the major axis]."""
    largest = depth.max()
    padded = np.pad(segment, 1)
    inwards = _to_the_segment(~padded, metric)[0][1:-1, 1:-1]
    # The mean surface brightness in layers of equal distance to the edge, in the outer part only.
    outer = segment & (depth <= max(0.4 * largest, 4.0))
    layers = np.rint(inwards[outer]).astype(int)
    count = np.bincount(layers)
    light = np.bincount(layers, image[outer])
    usable = np.flatnonzero((count >= 8) & (light > 0))
    low, high = max(STEEPEST * largest, 1.0), max(SHALLOWEST * largest, 1.5)
    if len(usable) < 3:
        return float(np.sqrt(low * high))
    slope = np.polyfit(usable, np.log(light[usable] / count[usable]), 1,
                       w=np.sqrt(count[usable]))[0]
    return float(np.clip(1 / slope if slope > 0 else high, low, high))
