"""Source galaxies: well-resolved, isolated stamps, prepared to be observed again.

The stamps are exactly zero outside of a segment (the pixels that a detection assigned to the
galaxy), and end there with a hard edge.  Real galaxies have no such edge.  Their light is
therefore extrapolated outwards, with the slope of their outer part.  Size, Sersic index and axis
ratio are measured once, on the resulting stamp.
"""

__all__ = ["Source", "Stamps", "grouped", "read_sources", "extrapolated_beyond_edge"]

import dataclasses
import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path

import galsim
import numpy as np
from galsim import GalSimConfigError
from scipy import ndimage

from galsim_deep.measure.half_light import measured_radius
from galsim_deep.measure.parametric import fit_sersic

from ..settings import Arcsec, Magnitude, Row, Settings, Text

Key = tuple[str, int]
"""A stamp: the name of its file in the recipe, and its row there."""


class Stamps(Settings):
    """A file of source galaxies.

    Example::

        >>> Stamps(file_name="hst.npz", pixel_scale=0.06, leave_out=(3, 5)).images
        'images'
    """

    file_name: Text
    """An ``.npz`` file."""
    images: Text = "images"
    """Key of the stamps, shape [n, s, s], sky at zero."""
    magnitudes: Text | None = None
    """Key of the magnitudes, shape [n].  [default: not known]"""
    pixel_scale: Arcsec
    """Size of a source pixel [arcsec]."""
    psf_fwhm: Arcsec = 0.09
    """Approximate FWHM of the PSF of the stamps [arcsec]; the fit of a source's Sersic index and
    axis ratio takes it into account."""
    faintest: Magnitude | None = None
    """Sources fainter than this magnitude are not used.  [default: all are used]"""
    leave_out: tuple[Row, ...] = ()
    """Rows that are not used, such as damaged stamps."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A source galaxy.

    Attributes:
        name:           Name of its file in the recipe.
        row:            Its row in that file.
        group:          Number of the galaxy; stamps of the same galaxy have the same number.
        members:        Number of stamps of this galaxy among the sources.
        image:          Stamp with an extrapolated outer part, float64 [s, s], unit sum.
        pixel_scale:    Size of a pixel of the image [arcsec].
        radius:         Half-light radius, with the PSF of the stamp [arcsec].
        extent:         Distance from the centroid beyond which there is no light [arcsec].
        sersic_n:       Sersic index.
        axis_ratio:     Minor over major axis.

    Example::

        >>> image = galsim.Gaussian(sigma=0.3).drawImage(nx=48, ny=48, scale=0.06).array
        >>> source = Source(name="hst", row=3, group=0, members=1, image=image / image.sum(),
        ...                 pixel_scale=0.06, radius=0.35, extent=2.1, sersic_n=0.5, axis_ratio=1.0)
        >>> galaxy = source.profile().dilate(0.5).withFlux(20.0)  # smaller, and of another flux
        >>> round(float(galaxy.flux), 6)
        20.0
    """

    name: str
    row: int
    group: int
    members: int
    image: np.ndarray
    pixel_scale: float
    radius: float
    extent: float
    sersic_n: float
    axis_ratio: float

    def profile(self) -> galsim.GSObject:
        """The galaxy as a `galsim.InterpolatedImage` of unit flux about its centroid."""
        image = galsim.Image(self.image, scale=self.pixel_scale)
        profile = galsim.InterpolatedImage(
            image, flux=1.0, calculate_stepk=False, calculate_maxk=False)
        return profile.shift(-profile.centroid)


def read_sources(files: Mapping[str, Stamps], same: Iterable[Mapping[str, Sequence[int]]],
                 locate: Callable[[str], str | os.PathLike], where: str) -> list[Source]:
    """Read and prepare all source galaxies.

    Parameters:
        files:      {name: file} of the recipe.
        same:       Groups of stamps that show the same galaxy: {name of the file: rows}.
        locate:     A function that makes a path of the recipe absolute.
        where:      The name of the recipe, for errors.

    Returns:
        the sources, sorted by name and row.

    Raises:
        galsim.GalSimConfigError: if a file, a key or a row of the recipe does not exist.
    """
    stamps: dict[Key, np.ndarray] = {}
    for name, file in files.items():
        stamps.update(_usable_stamps(name, file, Path(locate(file.file_name)), where))
    if not stamps:
        raise GalSimConfigError(f"The {where} leaves no source galaxy to use.")
    groups = []
    for group in same:
        for name in group:
            if name not in files:
                raise GalSimConfigError(
                    f"The {where}, data.same, names the file '{name}', which is not among the "
                    f"sources: {', '.join(files)}.")
        groups.append([(name, row) for name, rows in group.items() for row in rows])
    group_of = grouped(sorted(stamps), groups)
    members = {group: 0 for group in group_of.values()}
    for key in stamps:
        members[group_of[key]] += 1
    return [_prepared(key, image, files[key[0]], group_of[key], members[group_of[key]])
            for key, image in sorted(stamps.items())]


def _usable_stamps(name: str, file: Stamps, path: Path, where: str) -> dict[Key, np.ndarray]:
    """The stamps of a file that are used, float64 [s, s] each."""
    try:
        content = np.load(path)
    except (OSError, ValueError) as err:
        raise GalSimConfigError(
            f"The {where}: the source file {path} cannot be read: {err}") from err
    with content:
        for key in (file.images, file.magnitudes):
            if key is not None and key not in content:
                raise GalSimConfigError(f"The {where}: {path} has no '{key}'; its keys are: "
                                        f"{', '.join(content)}.")
        images = content[file.images]
        magnitudes = None if file.magnitudes is None else content[file.magnitudes]
    if images.ndim != 3:
        raise GalSimConfigError(f"The {where}: '{file.images}' of {path} has the shape "
                                f"{images.shape}, not [n, s, s].")
    if file.faintest is not None and magnitudes is None:
        raise GalSimConfigError(f"The {where} sets 'faintest' for {path}, but not 'magnitudes', "
                                "the key of its magnitudes.")
    absent = [row for row in file.leave_out if not 0 <= row < len(images)]
    if absent:
        raise GalSimConfigError(f"The {where} leaves out rows {absent} of {path}, which has "
                                f"only {len(images)} rows.")
    used = np.isin(np.arange(len(images)), file.leave_out, invert=True)
    if file.faintest is not None and magnitudes is not None:
        used &= np.isfinite(magnitudes) & (magnitudes < file.faintest)
    used &= np.isfinite(images).all((1, 2)) & (images.max((1, 2)) > 0)
    return {(name, int(row)): images[row].astype(float) for row in np.flatnonzero(used)}


def grouped(keys: Iterable[Hashable],
            groups: Iterable[Sequence[Hashable]]) -> dict[Hashable, int]:
    """Number the galaxies that stamps show.

    Parameters:
        keys:       The stamps.
        groups:     Lists of stamps that show the same galaxy.  Lists with a common member show the
                    same galaxy, even if that member is not among the keys.

    Returns:
        a dict: key -> number of its galaxy, 0, 1, ... in the order of the keys.

    Example::

        >>> grouped(["a", "b", "c"], [("a", "c")])
        {'a': 0, 'b': 1, 'c': 0}
    """
    parents: dict[Hashable, Hashable] = {}

    def representative(key: Hashable) -> Hashable:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    for group in groups:
        for key in group:
            parents[representative(key)] = representative(group[0])
    numbers: dict[Hashable, int] = {}
    return {key: numbers.setdefault(representative(key), len(numbers)) for key in keys}


def _prepared(key: Key, stamp: np.ndarray, file: Stamps, group: int, members: int) -> Source:
    image = extrapolated_beyond_edge(stamp)
    image /= image.sum()
    radius = measured_radius(image)
    sersic_n, axis_ratio = _shape(image, radius, file)
    centroid = ndimage.center_of_mass(image)
    extent = np.hypot(*(np.argwhere(image > 0) - centroid).T).max() + 1
    return Source(name=key[0], row=key[1], group=group, members=members, image=image,
                  pixel_scale=file.pixel_scale, radius=radius * file.pixel_scale,
                  extent=extent * file.pixel_scale, sersic_n=sersic_n, axis_ratio=axis_ratio)


def _shape(image: np.ndarray, radius: float, file: Stamps) -> tuple[float, float]:
    """(Sersic index, axis ratio) from a fit to the inner part of a stamp.

    Large stamps are rebinned.  ``radius`` is the half-light radius [pixels].
    """
    factor = max(1, int(radius / 5))
    scale = factor * file.pixel_scale
    half = int(np.ceil(min(4 * max(radius, 4), 0.5 * max(image.shape)) / factor)) * factor
    y, x = (int(round(centre)) for centre in ndimage.center_of_mass(image))
    image = np.pad(image, half)[y:y + 2 * half, x:x + 2 * half]
    side = 2 * half // factor
    image = image.reshape(side, factor, side, factor).sum((1, 3))
    psf = galsim.Gaussian(fwhm=file.psf_fwhm).drawImage(nx=17, ny=17, scale=scale, dtype=float)
    fit = fit_sersic(image, scale, psf.array)
    if not fit.components:
        return 1.0, 1.0
    return fit.components[0].n, fit.components[0].q


# ---- the edge of the segment -----------------------------------------------------------------

BAND = 4.0
"""Width of the outermost strip of a segment, whose surface brightness is extrapolated [pixels]."""
BLEND = 3.0
"""Depth inside the edge over which the stamp changes into the smooth extrapolation [pixels]."""
REACH = 6.0
"""Distance from the edge at which the extrapolated light ends [scale lengths]."""
STEEPEST, SHALLOWEST = 0.05, 0.35
"""Limits of the scale length, in units of the largest distance of a pixel of the segment to its
edge."""
ADDED = 0.06
"""Approximate upper limit of the extrapolated light, as a fraction of the galaxy's.  Irregular
galaxies end more abruptly than the slope of their outer part suggests, and a wide halo would be
spurious."""
SHORTEST = 1.0
"""Smallest scale length [pixels]: with a shorter one an edge would be visible."""
SMALLEST_PIECE = 0.02
"""Pieces of a segment with a smaller area than this, relative to the largest one, are dropped."""


def extrapolated_beyond_edge(image: np.ndarray) -> np.ndarray:
    """Extrapolate the light of a galaxy beyond the edge of its segment.

    From each point of the edge outwards, the local mean surface brightness falls off exponentially.
    The scale length along the major axis is that of the galaxy's own outer part; along the minor
    axis it is shorter by the axis ratio.  Just inside the edge the segment contains only the
    brighter pixels, above its threshold; there the stamp changes smoothly into the extrapolation.
    The light reaches exactly zero within the returned stamp.

    Parameters:
        image:  Shape [s, s], zero outside of the segment.

    Returns:
        float64, shape [t, t]: square and just large enough.
    """
    segment = _without_small_pieces(ndimage.binary_fill_holes(image > 0))
    image, segment = _framed(_filled(np.where(segment, image, 0.0), segment), segment)
    metric = _isophote_metric(image)
    depth = ndimage.distance_transform_edt(segment)
    scale = _outer_scale(image, segment, depth, metric)
    pad = int(np.ceil(REACH * scale)) + 2
    image, segment, depth = (np.pad(array, pad) for array in (image, segment, depth))
    distance, nearest = _to_the_segment(segment, metric)
    for _ in range(4):
        extended = _extrapolated(image, segment, depth, scale, distance, nearest)
        added = extended.sum() / image.sum() - 1
        if added <= 1.1 * ADDED or scale <= SHORTEST:
            break
        scale = max(SHORTEST, scale * ADDED / added)
    return _framed(extended)[0]


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
    side = max(np.ptp(rows), np.ptp(columns)) + 3
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
