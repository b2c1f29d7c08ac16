"""Source galaxies: well-resolved, isolated stamps made ready to be observed again.

The stamps come with exactly nothing outside a segment, and end there with a hard edge.  A galaxy
does not: its light is continued outwards here, as it falls off by itself.  Size, Sersic index and
axis ratio are measured once, on the stamp that results.
"""

__all__ = ["Source", "Stamps", "grouped", "read_sources", "softened"]

import dataclasses

import galsim
import numpy as np
from galsim import GalSimConfigError
from scipy import ndimage

from galsim_deep.half_light import measured_radius
from galsim_deep.validation.parametric import fit_sersic

from ..bounds import Arcsec, Magnitude, Row, Text
from ..recipe import Settings


class Stamps(Settings):
    """A file of source galaxies."""

    file_name: Text
    """An ``.npz`` file."""
    images: Text = "images"
    """Key of the stamps, shape [n, s, s], sky at zero."""
    magnitudes: Text | None = None
    """Key of the magnitudes, shape [n].  [default: not known]"""
    pixel_scale: Arcsec
    """Size of a source pixel [arcsec]."""
    psf_fwhm: Arcsec = 0.09
    """Roughly the resolution of the stamps [arcsec]; it is allowed for when a source's Sersic index
    is measured."""
    faintest: Magnitude | None = None
    """Sources fainter than this magnitude are not used.  [default: all are]"""
    leave_out: tuple[Row, ...] = ()
    """Rows that are not used, such as damaged stamps."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A source galaxy.

    Attributes:
        name:           Name of its file in the recipe.
        row:            Its row there.
        group:          Number of the galaxy: stamps of the same one have the same.
        members:        How many of the sources show that galaxy.
        image:          Stamp with softened edges, unit sum, float64.
        pixel_scale:    Of the image [arcsec].
        radius:         Half-light radius, own PSF included [arcsec].
        extent:         There is no light further than that from the centroid [arcsec].
        sersic_n:       Sersic index.
        axis_ratio:     Minor over major axis.
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

    def profile(self):
        """The galaxy as a `galsim.InterpolatedImage` of unit flux about its centroid of light."""
        image = galsim.Image(self.image, scale=self.pixel_scale)
        profile = galsim.InterpolatedImage(
            image, flux=1.0, calculate_stepk=False, calculate_maxk=False)
        return profile.shift(-profile.centroid)


def read_sources(files, same, locate, where):
    """Read and prepare all source galaxies.

    Parameters:
        files:      A dict: name -> `Stamps`.
        same:       Groups of stamps that show the same galaxy: dicts, name -> rows.
        locate:     A function that finds a path of the recipe.
        where:      The recipe, for errors.

    Returns:
        a list of `Source`.

    Raises a `galsim.GalSimConfigError` where a file, a key or a row of the recipe does not exist.
    """
    stamps = {}
    for name, file in files.items():
        stamps.update(_usable(name, file, locate(file.file_name), where))
    if not stamps:
        raise GalSimConfigError(f"The {where} leaves no source galaxy to use.")
    groups = []
    for group in same:
        for name in group:
            if name not in files:
                raise GalSimConfigError(f"The {where} lists galaxies of '{name}' as the same; "
                                        f"there are: {', '.join(files)}.")
        groups.append([(name, row) for name, rows in group.items() for row in rows])
    group_of = grouped(sorted(stamps), groups)
    members = {group: 0 for group in group_of.values()}
    for key in stamps:
        members[group_of[key]] += 1
    return [_prepared(key, image, files[key[0]], group_of[key], members[group_of[key]])
            for key, image in sorted(stamps.items())]


def _usable(name, file, path, where):
    """The stamps of a file that are used, {(name, row): image}."""
    try:
        content = np.load(path)
    except (OSError, ValueError) as err:
        raise GalSimConfigError(
            f"The {where}: the source file {path} cannot be read: {err}") from err
    with content:
        for key in (file.images, file.magnitudes):
            if key is not None and key not in content:
                raise GalSimConfigError(f"The {where}: {path} has no '{key}'; there are: "
                                        f"{', '.join(content)}.")
        images = content[file.images]
        magnitudes = None if file.magnitudes is None else content[file.magnitudes]
    if images.ndim != 3:
        raise GalSimConfigError(f"The {where}: '{file.images}' of {path} has the shape "
                                f"{images.shape}, not [n, s, s].")
    if file.faintest is not None and magnitudes is None:
        raise GalSimConfigError(f"The {where} has a faintest magnitude for {path}, but does not "
                                "say where its magnitudes are.")
    beyond = [row for row in file.leave_out if not 0 <= row < len(images)]
    if beyond:
        raise GalSimConfigError(f"The {where} leaves out rows {beyond} of {path}, which has "
                                f"{len(images)}.")
    used = np.isin(np.arange(len(images)), file.leave_out, invert=True)
    if file.faintest is not None:
        used &= np.isfinite(magnitudes) & (magnitudes < file.faintest)
    used &= np.isfinite(images).all((1, 2)) & (images.max((1, 2)) > 0)
    return {(name, int(row)): images[row].astype(float) for row in np.flatnonzero(used)}


def grouped(keys, groups):
    """Number the galaxies that stamps show.

    Parameters:
        keys:       The stamps, hashable, in order.
        groups:     Lists of stamps that show the same galaxy.  Lists that share a member are the
                    same galaxy all together, also where that member is not among the keys.

    Returns:
        a dict: key -> number of its galaxy, 0, 1, ... in the order of the keys.
    """
    leader = {}

    def find(key):
        while leader.setdefault(key, key) != key:
            key = leader[key]
        return key

    for group in groups:
        for key in group:
            leader[find(key)] = find(group[0])
    numbers = {}
    return {key: numbers.setdefault(find(key), len(numbers)) for key in keys}


def _prepared(key, image, file, group, members):
    image = softened(image)
    image /= image.sum()
    radius = measured_radius(image)
    n, q = _shape(image, radius, file)
    centroid = ndimage.center_of_mass(image)
    extent = np.hypot(*(np.argwhere(image > 0) - centroid).T).max() + 1
    return Source(name=key[0], row=key[1], group=group, members=members, image=image,
                  pixel_scale=file.pixel_scale, radius=radius * file.pixel_scale,
                  extent=extent * file.pixel_scale, sersic_n=n, axis_ratio=q)


def _shape(image, radius, file):
    """Sersic index and axis ratio, from a fit to the inner part of the stamp, rebinned if large."""
    factor = max(1, int(radius / 5))
    scale = factor * file.pixel_scale
    half = int(np.ceil(min(4 * max(radius, 4), 0.5 * max(image.shape)) / factor)) * factor
    y, x = (int(round(c)) for c in ndimage.center_of_mass(image))
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
"""Width of the outermost strip of a segment whose brightness is what is continued [pixels]."""
BLEND = 3.0
"""Over so many pixels inside of the edge the stamp goes over into the smooth continuation."""
REACH = 6.0
"""The continued light ends at so many scale lengths from the edge."""
STEEPEST, SHALLOWEST = 0.05, 0.35
"""Limits to the scale length, in units of the largest distance of a segment's pixel to its edge."""
ADDED = 0.06
"""The continued light is about so much of a galaxy at most: irregular galaxies end more abruptly
than their brightness within suggests, and a wide halo would be an invention."""
SHORTEST = 1.0
"""Nor is the scale length ever shorter than this [pixels]: an edge would be seen."""
CRUMBS = 0.02
"""Pieces of a segment that are smaller than this, relative to the largest one, are not kept."""


def softened(image):
    """Continue the light of a galaxy beyond the edge of its segment.

    From each point of the edge outwards, the local average of the brightness there falls off
    exponentially.  The scale length is that of the galaxy's own outer part, along the major axis;
    it is shorter along the minor axis by the axis ratio.  Just inside the edge, where the segment
    has kept the brighter pixels and dropped the fainter ones, the stamp goes over into the smooth
    light.  The light ends at exactly zero, within the stamp that is returned.

    Parameters:
        image:  Shape [s, s], zero outside of the segment.

    Returns:
        float64, shape [t, t]: square, just large enough.
    """
    segment = _without_crumbs(ndimage.binary_fill_holes(image > 0))
    image, segment = _framed(_filled(np.where(segment, image, 0.0), segment), segment)
    metric = _isophote_metric(image)
    depth = ndimage.distance_transform_edt(segment)
    scale = _outer_scale(image, segment, depth, metric)
    pad = int(np.ceil(REACH * scale)) + 2
    image, segment, depth = (np.pad(a, pad) for a in (image, segment, depth))
    away, nearest = _to_the_segment(segment, metric)
    for _ in range(4):
        continued = _continued(image, segment, depth, scale, away, nearest)
        added = continued.sum() / image.sum() - 1
        if added <= 1.1 * ADDED or scale <= SHORTEST:
            break
        scale = max(SHORTEST, scale * ADDED / added)
    return _framed(continued)[0]


def _continued(image, segment, depth, scale, away, nearest):
    """`softened` with a scale length: the stamp, going over into smooth light at its edge."""
    # The average brightness along the edge, from a strip on its inside.
    strip = segment & (depth <= BAND)
    weight = ndimage.gaussian_filter(strip.astype(float), BAND)
    average = ndimage.gaussian_filter(np.where(strip, image, 0.0), BAND)
    average = np.where(weight > 1e-12, average / np.maximum(weight, 1e-12), 0.0)
    # The strip is brighter on average than the edge itself, by half of its width.
    slope = 1 / max(scale, BAND)
    average = average * np.exp(-0.5 * slope * (BAND - 2 * depth.clip(0, BAND)))
    end = np.clip(1 - away / (REACH * scale), 0, 1)
    tail = average[tuple(nearest)] * np.exp(-away / scale) * np.clip(4 * end, 0, 1)
    # Nearest points jump from ray to ray.
    tail = ndimage.gaussian_filter(np.where(segment, average, tail), 1.5) * (end > 0)
    blend = np.clip(depth / BLEND, 0, 1)
    blend = blend * blend * (3 - 2 * blend)
    return np.where(segment, blend * image, 0.0) + (1 - blend) * tail


def _filled(image, segment):
    """Fill holes in a segment from around: pixels that fell below its threshold are dark dots."""
    hole = segment & (image <= 0)
    weight = ndimage.gaussian_filter((~hole & segment).astype(float), 1.5)
    around = ndimage.gaussian_filter(np.where(hole, 0.0, image), 1.5) / np.maximum(weight, 1e-12)
    # Wide ones are sky between the arms of a galaxy, and stay dark in the middle.
    wide = ndimage.distance_transform_edt(hole)
    return np.where(hole, around * np.exp(-0.5 * wide), image)


def _without_crumbs(segment):
    """The pieces of a segment that are not very small against the largest."""
    pieces, number = ndimage.label(segment, np.ones((3, 3)))
    areas = np.bincount(pieces.ravel(), minlength=number + 1)
    areas[0] = 0
    return (areas >= CRUMBS * areas.max())[pieces]


def _framed(image, *others):
    """Cut to a square about the bounding box of what is not zero, padded where it must be."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    side = max(np.ptp(rows), np.ptp(columns)) + 3
    corner = [(axis[0] + axis[-1]) // 2 - side // 2 for axis in (rows, columns)]
    cut = tuple(slice(c + side, c + 2 * side) for c in corner)
    return [np.pad(a, side)[cut] for a in (image, *others)]


def _isophote_metric(image):
    """Inverse half of the second moments: |metric @ (y, x)| is a distance along the major axis."""
    y, x = np.indices(image.shape)
    weight = image / image.sum()
    y, x = y - (weight * y).sum(), x - (weight * x).sum()
    moments = np.array([[(weight * y * y).sum(), (weight * x * y).sum()],
                        [(weight * x * y).sum(), (weight * x * x).sum()]])
    values, vectors = np.linalg.eigh(moments)
    ratios = np.sqrt(np.maximum(values[1] / np.maximum(values, 1e-12), 1.0)).clip(1, 5)
    return vectors @ np.diag(ratios) @ vectors.T


def _to_the_segment(segment, metric):
    """(distance in the metric, indices of the nearest pixel of the segment), for each pixel."""
    nearest = ndimage.distance_transform_edt(~segment, return_distances=False,
                                             return_indices=True)
    step = np.indices(segment.shape) - nearest
    return np.hypot(*np.tensordot(metric, step, 1)), nearest


def _outer_scale(image, segment, depth, metric):
    """Exponential scale length of the light near the edge [pixels along the major axis]."""
    largest = depth.max()
    padded = np.pad(segment, 1)
    inwards = _to_the_segment(~padded, metric)[0][1:-1, 1:-1]
    # Layers of equal distance to the edge, of the outer part only.
    outer = segment & (depth <= max(0.4 * largest, 4.0))
    layers = np.rint(inwards[outer]).astype(int)
    count = np.bincount(layers)
    light = np.bincount(layers, image[outer])
    use = np.flatnonzero((count >= 8) & (light > 0))
    low, high = STEEPEST * largest, SHALLOWEST * largest
    low, high = max(low, 1.0), max(high, 1.5)
    if len(use) < 3:
        return float(np.sqrt(low * high))
    slope = np.polyfit(use, np.log(light[use] / count[use]), 1, w=np.sqrt(count[use]))[0]
    return float(np.clip(1 / slope if slope > 0 else high, low, high))
