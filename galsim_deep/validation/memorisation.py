"""Whether a generative model makes new galaxies or repeats its training galaxies.

Stamps are transformed to a canonical frame, in which rotated, dilated or re-noised stamps of one
galaxy look the same.  The distance of a generated galaxy to the nearest training galaxy is then
compared with the distances of real galaxies that the model was not trained on, and with those
between two stamps of the same training galaxy.  Meehan et al. (2020, arXiv:2004.05675) compare the
distances of generated and of held-out data to the training data in the same way.
"""

__all__ = [
    "JITTER",
    "canonical",
    "copy_distances",
    "is_caught",
    "memorisation",
    "nearest_distances",
    "other_source_distances",
    "planted_copy",
]

from collections.abc import Sequence

import galsim
import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ..measure.moments import adaptive_moments
from ..observations.observation import Observation

_EXTENT = 3.0
"""Half the width of the frame, in units of the size of the galaxy (its Gaussian sigma before the
PSF)."""
_BLUR = 0.4
"""Sigma of the PSF that every galaxy is convolved to, in the same unit."""
JITTER = (0.01, 0.1)
"""Smallest and largest change of a planted copy, a share of its size, shape and light."""


def canonical(observation: Observation, stamp: np.ndarray, rng: np.random.Generator,
              size: int = 24, noise_share: float = 0.03) -> np.ndarray | None:
    """Transform a stamp to its canonical frame.

    The galaxy is centred, its major axis lies along x, and the size, the norm and the noise level
    are the same for all galaxies.  Axis ratio and structure are kept.  The frame does not determine
    rotations by 180 degrees and reflections, so that `nearest_distances` tries all four
    orientations.

    The unit of length is the size of the galaxy measured by adaptive moments.  The stamp is
    convolved so that its total PSF has a sigma of 0.4 of this size: large and small galaxies then
    have the same resolution.  The frame is a disc with a radius of 3 sizes.

    Noise increases the distance between two images, more for faint galaxies than for bright ones.
    Therefore noise with the correlation of the observation is added to each stamp until its norm is
    the same share of the norm of the image for all galaxies.  A stamp with more noise than that has
    no canonical image.

    Parameters:
        observation:    The `Observation` with the PSF and noise of the stamp.
        stamp:          Shape [S, S], flux per pixel.
        rng:            The random numbers of the added noise.
        size:           Size of the frame [pixels].  [default: 24]
        noise_share:    Norm of the noise in an image of unit norm.  The distance of two images of
                        one galaxy is about sqrt(2) times this.  [default: 0.03]

    Returns:
        float32, shape [size, size], of unit norm; None for a stamp without a galaxy, and for a
        galaxy that is too faint or too small (less than about 2.5 times the sigma of the PSF).
    """
    psf, first = adaptive_moments(observation.psf), adaptive_moments(stamp)
    if psf is None or first is None:
        return None
    variance = first.moments_sigma**2 - psf.moments_sigma**2
    kernel_variance = _BLUR**2 * variance - psf.moments_sigma**2
    if kernel_variance < 1:
        return None
    kernel = _gaussian(np.sqrt(kernel_variance), min(np.shape(stamp)))
    smooth = _smoothed(stamp, kernel)
    # Measured again, now that all galaxies have the same resolution.
    moments = adaptive_moments(smooth)
    if moments is None:
        return None
    unit = moments.moments_sigma / np.sqrt(1 + _BLUR**2)
    points, inside = _frame(moments, unit, size)
    image = _sampled(smooth, points) * inside
    norm = np.sqrt((image**2).sum())
    sigma = observation.smoothed_sigma(np.outer(kernel, kernel)) * np.sqrt(inside.sum()) / norm
    if not sigma <= noise_share:
        return None
    added = np.sqrt((noise_share / sigma)**2 - 1) if sigma > 0 else 0.0
    image += added * _sampled(_smoothed(observation.noise(rng), kernel), points) * inside
    return (image / np.sqrt((image**2).sum())).astype(np.float32)


def planted_copy(observation: Observation, stamp: np.ndarray, rng: np.random.Generator
                 ) -> np.ndarray:
    """A stamp as a model would make it that repeats its training galaxies with small changes.

    The positive control of the search for copies.  The galaxy is turned and mirrored at random,
    dilated and sheared by up to a tenth, and its light is multiplied by a smooth random field that
    varies by the same share; noise of the observation is added.

    Parameters:
        observation:    The `Observation` with the PSF and noise of the stamp.
        stamp:          Shape [S, S].
        rng:            The random numbers.

    Returns:
        float64 [S, S].
    """
    jitter = rng.uniform(*JITTER)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = np.diag([1.0, rng.choice([-1.0, 1.0])])
    shear = galsim.Shear(g=0.5 * jitter, beta=rng.uniform(0, np.pi) * galsim.radians).getMatrix()
    matrix = (1 + rng.uniform(-jitter, jitter)) * turn @ mirror @ shear
    middle = 0.5 * (np.array(stamp.shape) - 1) + observation.offset[::-1]
    moved = ndimage.affine_transform(
        np.asarray(stamp, float), matrix, offset=middle - matrix @ middle, order=3)
    field = ndimage.gaussian_filter(rng.standard_normal(stamp.shape), 0.05 * len(stamp))
    return moved * (1 + jitter * field / field.std()) + observation.noise(rng)


def is_caught(result: dict[str, float]) -> bool:
    """Whether the numbers of `memorisation` show that a model repeats its training galaxies.

    So they do if the share of its galaxies that are as near as copies exceeds that of real galaxies
    that cannot be copies, by more than 0.1 and three errors.
    """
    excess = result["share_copies"] - result["held_out_share_copies"]
    error = np.hypot(result["share_copies_error"], result["held_out_share_copies_error"])
    return bool(excess > max(0.1, 3 * error))


def nearest_distances(queries: ArrayLike, training: ArrayLike, exclude: ArrayLike | None = None
                      ) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each image to the nearest one of a set, however it is rotated or mirrored.

    Of each query, the rotation by 180 degrees and the mirror images of both are tried too.

    Parameters:
        queries:    Canonical images, shape [n, s, s].
        training:   Canonical images, shape [m, s, s].
        exclude:    Index in ``training`` that is left out for each query, shape [n]; -1 for none.
                    [default: None]

    Returns:
        the distance (0 for identical images, sqrt(2) for orthogonal ones) and the index in
        ``training``, both shape [n]; NaN and -1 if there is nothing to compare with.
    """
    queries, training = np.asarray(queries, np.float32), np.asarray(training, np.float32)
    distance, index = np.full(len(queries), np.nan), np.full(len(queries), -1)
    if len(training) == 0:
        return distance, index
    flat = training.reshape(len(training), -1)
    squares = (flat**2).sum(1)
    for start in range(0, len(queries), _CHUNK):
        part = queries[start:start + _CHUNK]
        rows = np.arange(len(part))
        overlap = np.max([version.reshape(len(part), -1) @ flat.T
                          for version in _versions(part)], axis=0)
        squared = (part**2).sum((1, 2))[:, None] + squares - 2 * overlap
        if exclude is not None:
            left_out = np.asarray(exclude)[start:start + _CHUNK]
            squared[rows[left_out >= 0], left_out[left_out >= 0]] = np.inf
        best = squared.argmin(1)
        nearest = squared[rows, best]
        matched = np.isfinite(nearest)
        distance[start + rows[matched]] = np.sqrt(np.clip(nearest[matched], 0, None))
        index[start + rows[matched]] = best[matched]
    return distance, index


def copy_distances(images: ArrayLike, sources: ArrayLike) -> np.ndarray:
    """Distance of each image to the nearest other one of the same source.

    Parameters:
        images:     Canonical images, shape [n, s, s].
        sources:    Number of the galaxy that each was made from, shape [n].

    Returns:
        the distance, shape [n]; NaN for the only image of a source.
    """
    images, sources = np.asarray(images), np.asarray(sources)
    distance = np.full(len(images), np.nan)
    for source in np.unique(sources):
        members = np.flatnonzero(sources == source)
        distance[members] = nearest_distances(
            images[members], images[members], np.arange(len(members)))[0]
    return distance


def other_source_distances(images: ArrayLike, sources: ArrayLike) -> np.ndarray:
    """Distance of each image to the nearest one of another source.

    Parameters:
        images:     Canonical images, shape [n, s, s].
        sources:    Number of the galaxy that each was made from, shape [n].

    Returns:
        the distance, shape [n]; NaN if all are of one source.
    """
    images, sources = np.asarray(images), np.asarray(sources)
    distance = np.full(len(images), np.nan)
    for source in np.unique(sources):
        members = sources == source
        distance[members] = nearest_distances(images[members], images[~members])[0]
    return distance


def memorisation(generated: ArrayLike, held_out: ArrayLike, training: ArrayLike,
                 training_sources: ArrayLike, held_out_sources: ArrayLike | None = None,
                 seed: int = 0, count: int = 200) -> dict[str, float]:
    """Compare the distances to the training galaxies with those of new galaxies and of copies.

    All images are those of `canonical`, of stamps that were drawn alike, so that all have the same
    noise.  The caller leaves out stamps without a canonical image.

    How to read the numbers:

    * ``share_nearer`` is the share of generated galaxies that are nearer to the training set than
      95 % of the held-out galaxies: 0.05 for a model that makes new galaxies, near 1 for one that
      repeats the training set.
    * ``share_copies`` is the share of generated galaxies within the median distance of copies: near
      0.5 for a model that repeats the training set.  ``held_out_share_copies`` is the same for
      galaxies that cannot be copies, which shows how much of it is chance.
    * ``share_nearer_other_sources`` is like ``share_nearer``, but compares with the distances
      between training galaxies of different sources instead of the held-out galaxies.  There are
      usually many more of them.

    Their limits:

    * They are meaningful only if ``copies_median`` is well below ``held_out_median``.
    * With few held-out sources, ``share_nearer`` depends on the choice of these sources by more
      than its error.  With 15 of them (HST/ACS galaxies brighter than 22.5), stamps of 25 other
      sources, which are certainly new, had 0.1 to 0.4; their ``share_copies`` was 0.01 to 0.03, and
      that of copies 0.5.  A large ``share_copies`` therefore shows that a model repeats its
      training galaxies, while a large ``share_nearer`` by itself does not; one of 0.05
      shows that it does not repeat them.
    * The held-out galaxies must be similar to the training galaxies, and the generated ones must be
      made for the columns of the held-out ones: a smooth galaxy is near to every other galaxy, so
      that the distance depends on magnitude and size.
    * For the same reason a model that makes too smooth galaxies comes nearer to the training set
      without repeating it.  Stamps of parametric fits to the held-out galaxies, passed as
      ``generated``, show the effect of smoothness; ``share_copies`` is less affected by it.
    * Parts of galaxies that are repeated in new arrangements are not recognised.

    Parameters:
        generated:          Images of generated galaxies, shape [n, s, s].
        held_out:           Images of real galaxies that were not trained on, shape [h, s, s].
        training:           Images of the training galaxies, shape [m, s, s].
        training_sources:   Number of the galaxy that each of them was made from, shape [m].
        held_out_sources:   The same for ``held_out``, shape [h].
                            [default: None, all are different]
        seed:               Seed of the bootstrap.  [default: 0]
        count:              Number of resamplings.  [default: 200]

    Returns:
        a dict of the medians and shares named above, of ``generated_median`` and of
        ``other_sources_median`` (between training galaxies of different sources), each also with
        its standard error under the name that ends in ``_error``, from resampling sources (and
        generated galaxies) with replacement; and of the numbers of galaxies in each set:
        ``n_generated``, ``n_held_out``, ``n_training``, ``n_copies`` (training galaxies with a
        copy) and ``n_other_sources`` (training galaxies for which there is another source).
    """
    generated, held_out = np.asarray(generated), np.asarray(held_out)
    training, training_sources = np.asarray(training), np.asarray(training_sources)
    if held_out_sources is None:
        held_out_sources = np.arange(len(held_out))
    copies = copy_distances(training, training_sources)
    paired = np.isfinite(copies)
    to_other_sources = other_source_distances(training, training_sources)
    has_others = np.isfinite(to_other_sources)
    sets = [
        (nearest_distances(generated, training)[0], np.arange(len(generated))),
        (nearest_distances(held_out, training)[0], np.asarray(held_out_sources)),
        (copies[paired], training_sources[paired]),
        (to_other_sources[has_others], training_sources[has_others]),
    ]
    values = _summary(*(distance for distance, _ in sets))
    rng = np.random.default_rng(seed)
    members = [[np.flatnonzero(groups == group) for group in np.unique(groups)]
               for _, groups in sets]
    samples = [_summary(*(distance[_resampled(rng, groups)]
                          for (distance, _), groups in zip(sets, members, strict=True)))
               for _ in range(count)]
    result = {}
    for name, value in values.items():
        result[name] = value
        result[name + "_error"] = float(np.std([sample[name] for sample in samples]))
    return result | {
        "n_generated": len(generated), "n_held_out": len(held_out), "n_training": len(training),
        "n_copies": int(paired.sum()), "n_other_sources": int(has_others.sum())}


_CHUNK = 512
"""Queries that are compared at once, which limits the memory to about 10 MB per thousand training
images."""


def _summary(generated: np.ndarray, held_out: np.ndarray, copies: np.ndarray,
             other_sources: np.ndarray) -> dict[str, float]:
    """The medians and shares of `memorisation` from its sets of distances; NaN for an empty set."""
    def median(distance: np.ndarray) -> float:
        return float(np.median(distance)) if len(distance) else np.nan

    def share(distance: np.ndarray, limit: float) -> float:
        has_limit = len(distance) and np.isfinite(limit)
        return float((distance < limit).mean()) if has_limit else np.nan

    def near(distance: np.ndarray) -> float:
        return float(np.quantile(distance, 0.05)) if len(distance) else np.nan

    return {
        "generated_median": median(generated),
        "held_out_median": median(held_out),
        "copies_median": median(copies),
        "other_sources_median": median(other_sources),
        "share_nearer": share(generated, near(held_out)),
        "share_nearer_other_sources": share(generated, near(other_sources)),
        "share_copies": share(generated, median(copies)),
        "held_out_share_copies": share(held_out, median(copies)),
    }


def _resampled(rng: np.random.Generator, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Indices of a bootstrap sample: whole groups with replacement."""
    if not groups:
        return np.zeros(0, int)
    return np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))])


def _versions(images: np.ndarray) -> tuple[np.ndarray, ...]:
    """The images [n, s, s], rotated by 180 degrees, and the mirror images of both."""
    return (images, images[:, ::-1, ::-1], images[:, :, ::-1], images[:, ::-1, :])


def _gaussian(sigma: float, limit: int) -> np.ndarray:
    """Normalised samples of a Gaussian, an odd number of them, less than ``limit``."""
    reach = min(int(np.ceil(4 * sigma)), (limit - 1) // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma)**2)
    return kernel / kernel.sum()


def _smoothed(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """An image convolved with a kernel along both axes."""
    image = ndimage.convolve1d(np.asarray(image, float), kernel, axis=0, mode="constant")
    return ndimage.convolve1d(image, kernel, axis=1, mode="constant")


def _sampled(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """An image at positions (row, column), shape [2, ...], by cubic splines; zero outside of it."""
    return ndimage.map_coordinates(image, points, order=3, mode="constant")


def _frame(moments: galsim.hsm.ShapeData, unit: float, size: int
           ) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the pixels of the frame in the stamp, and which of them are within the disc.

    Parameters:
        moments:    Adaptive moments of the galaxy [pixels].
        unit:       Its size [pixels].
        size:       Size of the frame [pixels].

    Returns:
        row and column indices, shape [2, size, size], and a bool array, shape [size, size].
    """
    y, x = (2 * _EXTENT / size) * (np.indices((size, size)) - 0.5 * (size - 1))
    angle = moments.observed_shape.beta / galsim.radians
    column = moments.moments_centroid.x + unit * (np.cos(angle) * x - np.sin(angle) * y)
    row = moments.moments_centroid.y + unit * (np.sin(angle) * x + np.cos(angle) * y)
    return np.stack([row, column]), np.hypot(x, y) < _EXTENT
