"""Which images show the same galaxy, in whatever set, orientation and band.

The structure of a galaxy, what is left after its elliptical profile, is compared in two steps.
First it is sampled on rings whose radii grow by a constant factor: two images are compared at all
rotations, as they are and mirrored, by the correlation of their rings, which is a convolution in
angle.  Pairs that are alike are then compared again as images, which also finds a small shift.
Sizes on the sky are compared as they are.

Images of a few resolution elements are all alike, so that correlation decides only on well resolved
galaxies.  The files of the surveys list pairs of smaller ones that were found by eye (`SAME`).
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from galsim_deep.measure.half_light import measured_radius
from galsim_deep.observations.collection import CollectedGalaxy

from .ellipse import Ellipse, profile_of

RESOLVED = 4.0
"""Smallest half-light radius of galaxies that are compared [half-light radii of the PSF]."""
SIMILAR = 1.35
"""Largest ratio of half-light radii of images of one galaxy."""
LIKE_RINGS = 0.45
"""Pairs of images whose rings correlate more are compared as images."""
LIKE_IMAGES, LIKE_ROTATED = 0.82, 0.95
"""Images of one galaxy correlate more than this in the same orientation, and in another one.  North
is up in most sets, so that chance has one orientation to choose from, not a hundred."""
SAME_BAND, OTHER_BAND = 0.4, 1.3
"""Largest difference of magnitudes of images of one galaxy."""
CLOSE = 1.5
"""Images at positions that differ by less show the same galaxy [arcsec]."""

_FINEST, _COARSEST, _STEP = 0.12, 40.0, 1.12  # radii of rings [arcsec], and their ratio
_ANGLES = 96
_SIDE = 64  # pixels of the images that are compared; they span six half-light radii
_SHIFT = 10  # largest shift between them [pixels]


def same_galaxies(galaxies: Sequence[CollectedGalaxy],
                  known: Sequence[tuple[str, ...]] = ()) -> list[int]:
    """Number the galaxies that images show.

    Parameters:
        galaxies:   The images.
        known:      Groups of names of images that show the same galaxy.

    Returns:
        the number of the galaxy of each image, 0, 1, ...
    """
    names = [galaxy.name for galaxy in galaxies]
    pairs = []
    for group in known:
        members = [names.index(name) for name in group if name in names]
        pairs += [(members[0], other) for other in members[1:]]
    ra, dec = (np.array([getattr(galaxy, key) for galaxy in galaxies]) for key in ("ra", "dec"))
    east = (ra[:, None] - ra) * np.cos(np.radians(dec)) * 3600
    north = (dec[:, None] - dec) * 3600
    pairs += [(one, two) for one, two in np.argwhere(np.triu(np.hypot(east, north) < CLOSE, 1))]
    pairs += alike(galaxies)
    numbers = list(range(len(galaxies)))
    for one, two in pairs:
        new, old = numbers[one], numbers[two]
        numbers = [new if number == old else number for number in numbers]
    order = {number: place for place, number in enumerate(dict.fromkeys(numbers))}
    return [order[number] for number in numbers]


def alike(galaxies: Sequence[CollectedGalaxy]) -> list[tuple[int, int]]:
    """Pairs of well resolved images that show the same galaxy, by their structure."""
    radius = np.array([_on_sky(galaxy, galaxy.flux_radius) for galaxy in galaxies])
    psf = np.array([_on_sky(galaxy, galaxy.psf_scale * measured_radius(galaxy.psf.clip(0)))
                    for galaxy in galaxies])
    rows = np.flatnonzero(radius > RESOLVED * psf)
    structures = {row: _structure(galaxies[row]) for row in rows}
    if len(rows) < 2:
        return []
    rings = [_rings(galaxies[row], structures[row]) for row in rows]
    pairs = []
    likeness, straight_turn, mirrored_turn = _ring_correlations(np.stack(rings))
    for one, two in np.argwhere(np.triu(likeness > LIKE_RINGS, 1)):
        a, b = rows[one], rows[two]
        larger, smaller = max(radius[a], radius[b]), min(radius[a], radius[b])
        if larger > SIMILAR * smaller or not _may_be_one(galaxies[a], galaxies[b]):
            continue
        straight, rotated = image_correlations(
            galaxies[a], structures[a], galaxies[b], structures[b], larger,
            straight_turn[one, two], mirrored_turn[one, two])
        if straight > LIKE_IMAGES or rotated > LIKE_ROTATED:
            pairs.append((int(a), int(b)))
    return pairs


def _on_sky(galaxy: CollectedGalaxy, length: float) -> float:
    """A length [arcsec as used] as it was observed [arcsec]."""
    return length * galaxy.original_pixel_scale / galaxy.pixel_scale


def _may_be_one(one: CollectedGalaxy, two: CollectedGalaxy) -> bool:
    """Whether two magnitudes may be those of one galaxy."""
    if one.pixel_scale != one.original_pixel_scale or two.pixel_scale != two.original_pixel_scale:
        return True  # the magnitudes as used tell of different distances
    limit = SAME_BAND if one.band == two.band else OTHER_BAND
    return abs(one.magnitude - two.magnitude) < limit


def _structure(galaxy: CollectedGalaxy) -> np.ndarray:
    """What is left after the elliptical profile, in units of the square root of the profile."""
    ellipse = Ellipse(galaxy.x, galaxy.y, galaxy.ellipse_axis_ratio,
                      np.radians(galaxy.ellipse_angle))
    distance = ellipse.radius(galaxy.image.shape)
    smooth = profile_of(galaxy.image, galaxy.usable, ellipse).at(distance)
    lit = galaxy.usable & (distance < galaxy.radius_used)
    if galaxy.cut:
        lit &= galaxy.image != 0
    residual = np.where(lit, galaxy.image - smooth, 0.0)
    residual /= np.sqrt(np.abs(smooth) + 3 * galaxy.noise_inside)
    # To a resolution that all images have.
    return ndimage.gaussian_filter(residual, max(0.06 / galaxy.original_pixel_scale, 0.7))


def _rings(galaxy: CollectedGalaxy, structure: np.ndarray) -> np.ndarray:
    """The structure of a galaxy on rings, of unit norm, [rings, _ANGLES]."""
    count = int(np.log(_COARSEST / _FINEST) / np.log(_STEP)) + 1
    radius = _FINEST * _STEP ** np.arange(count) / galaxy.original_pixel_scale
    angle = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    x = galaxy.x + radius[:, None] * np.cos(angle)
    y = galaxy.y + radius[:, None] * np.sin(angle)
    values = ndimage.map_coordinates(structure, [y, x], order=1) * radius[:, None]
    return values / max(np.sqrt((values**2).sum()), 1e-30)


def _ring_correlations(rings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest correlation of the rings of each pair of images, float64 [n, n].

    Returns:
        (correlation, angle by which the second image is to be turned for it [degrees], the same
        for its mirror image).
    """
    spectra = np.fft.rfft(rings, axis=2).transpose(2, 0, 1)
    best, turns = [], []
    for other, sign in ((spectra, -1), (spectra.conj(), 1)):  # the latter is the mirror image
        products = np.fft.irfft(spectra @ other.conj().transpose(0, 2, 1), _ANGLES, axis=0)
        best.append(products.max(0))
        turns.append(sign * products.argmax(0) * 360 / _ANGLES)
    return np.maximum(*best), turns[0], turns[1]


def image_correlations(one: CollectedGalaxy, structure_one: np.ndarray, two: CollectedGalaxy,
                       structure_two: np.ndarray, radius: float, turn: float,
                       mirrored_turn: float) -> tuple[float, float]:
    """The largest correlations of two images, with small shifts.

    Parameters:
        radius:         A sixth of the side of what is compared [arcsec on the sky].
        turn, mirrored_turn:    About how far the second image, and its mirror image, are to be
                        turned [degrees].

    Returns:
        (correlation in the same orientation, the largest one of all).
    """
    scale = 6 * radius / _SIDE
    reference = _transform(_turned(one, structure_one, scale, 0.0, 1))
    orientations = [(1, 0.0)]
    for step in (-4, 0, 4):
        orientations += [(1, turn + step), (-1, mirrored_turn + step)]
    correlations = []
    for mirror, angle in orientations:
        turned = _turned(two, structure_two, scale, np.radians(angle), mirror)
        product = np.fft.irfft2(reference * _transform(turned).conj())
        near = np.roll(product, (_SHIFT, _SHIFT), (0, 1))[:2 * _SHIFT + 1, :2 * _SHIFT + 1]
        correlations.append(float(near.max()))
    return correlations[0], max(correlations)


def _turned(galaxy: CollectedGalaxy, structure: np.ndarray, scale: float, angle: float,
            mirror: int) -> np.ndarray:
    """The structure about the centre in pixels of a size [arcsec], turned or mirrored, normed."""
    steps = (np.arange(_SIDE) - _SIDE // 2) * scale / galaxy.original_pixel_scale
    x, y = np.meshgrid(steps, mirror * steps)
    rows = galaxy.y + x * np.sin(angle) + y * np.cos(angle)
    columns = galaxy.x + x * np.cos(angle) - y * np.sin(angle)
    values = ndimage.map_coordinates(structure, [rows, columns], order=1)
    return values / max(np.sqrt((values**2).sum()), 1e-30)


def _transform(image: np.ndarray) -> np.ndarray:
    return np.fft.rfft2(image, (2 * _SIDE, 2 * _SIDE))
