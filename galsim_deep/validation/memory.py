"""Does a generative model make new galaxies, or does it repeat those that it was trained on?

Stamps are brought to a canonical frame, in which turned, dilated or re-noised stamps of one galaxy
look the same, and the distance of a generated galaxy to the nearest training galaxy is compared
with two yardsticks: that of real galaxies which the model has never seen, and that between two
stamps of one training galaxy (in the manner of Meehan et al. 2020, arXiv:2004.05675, who compare
the distances of generated and of held-out data to the training data).
"""

__all__ = [
    "canonical",
    "copy_distances",
    "memorisation",
    "nearest_distances",
    "stranger_distances",
]

import galsim
import numpy as np
from scipy import ndimage

from .moments import adaptive_moments

# In units of the size of the galaxy (its Gaussian sigma before the PSF): half the width of the
# frame, and the sigma of the blur that every galaxy is brought to, whatever its size.
_EXTENT = 3.0
_BLUR = 0.4


def canonical(observation, stamp, rng, size=24, noise_share=0.03):
    """A stamp in its canonical frame: centred, major axis along x, of fixed size, norm and noise.

    The size is that of the adaptive moments.  The galaxy is blurred to 0.4 of it, PSF included, so
    that neither the resolution nor the noise tells large galaxies from small ones; the frame
    reaches to 3 sizes and is a disk.  Axis ratio and structure stay as they are.  Left open are
    the turn by 180 degrees and the mirror images, which `nearest_distances` tries.

    Noise moves two images apart, and faint galaxies more than bright ones.  Hence noise is added
    to every stamp up to the same share of the norm, with the correlation of the noise that is
    there; a stamp with more noise than that has no canonical image.

    Parameters:
        observation:    The `Observation` whose PSF and noise the stamp has.
        stamp:          Shape [S, S], flux per pixel.
        rng:            A numpy Generator, for the added noise.
        size:           Size of the frame [pixels].  [default: 24]
        noise_share:    Norm of the noise of an image of unit norm.  Two images of one galaxy are
                        about sqrt(2) times this apart.  [default: 0.03]

    Returns:
        float32, shape [size, size], of unit norm; or None for a galaxy that is too faint or too
        small (of less than about 2.5 times the sigma of the PSF), and where there is none.
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
    found = adaptive_moments(smooth)
    if found is None:
        return None
    # Measured again where all galaxies have the same resolution: so is the frame itself.
    unit = found.moments_sigma / np.sqrt(1 + _BLUR**2)
    points, inside = _frame(found, unit, size)
    image = _sampled(smooth, points) * inside
    norm = np.sqrt((image**2).sum())
    sigma = observation.smoothed_sigma(np.outer(kernel, kernel)) * np.sqrt(inside.sum()) / norm
    if not sigma <= noise_share:
        return None
    more = np.sqrt((noise_share / sigma)**2 - 1) if sigma > 0 else 0.0
    image += more * _sampled(_smoothed(observation.noise(rng), kernel), points) * inside
    return (image / np.sqrt((image**2).sum())).astype(np.float32)


def nearest_distances(queries, training, exclude=None):
    """Distance of each image to the nearest one of a set, over turns by 180 degrees and mirrors.

    Parameters:
        queries:    Canonical images, shape [n, s, s].
        training:   Canonical images, shape [m, s, s].
        exclude:    Index in ``training`` that is not to be matched, shape [n]; -1 for none.
                    [default: None]

    Returns:
        the distance (0 for the same image, sqrt(2) for images that have nothing in common) and
        the index in ``training``, both shape [n]; NaN and -1 where there is nothing to match.
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


def copy_distances(images, sources):
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
        mine = np.flatnonzero(sources == source)
        distance[mine] = nearest_distances(images[mine], images[mine], np.arange(len(mine)))[0]
    return distance


def stranger_distances(images, sources):
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
        mine = sources == source
        distance[mine] = nearest_distances(images[mine], images[~mine])[0]
    return distance


def memorisation(generated, held_out, training, training_sources, held_out_sources=None,
                 seed=0, count=200):
    """Compare the distances to the training galaxies with those of new galaxies and of copies.

    All images are those of `canonical`, of stamps that were drawn alike, so that all have the same
    noise; images that are None are left out by the caller.

    How to read the numbers:

    * ``share_nearer`` is the share of generated galaxies nearer to the training set than all but
      5 % of the held-out ones: 0.05 for a model that makes new galaxies, near 1 for one that
      repeats the training set.
    * ``share_copies`` is the share of generated galaxies as near as every other copy is (within
      the median distance of copies): near 0.5 for a model that repeats the training set.
      ``held_out_share_copies`` is the same for galaxies that cannot be copies, which says how much
      of it is chance.
    * ``share_nearer_strangers`` is as ``share_nearer``, but with the distances of the training
      galaxies to training galaxies of other sources in place of the held-out ones.  There are
      usually many more of them.

    Their limits:

    * It says something only if ``copies_median`` is well below ``held_out_median``.
    * With few held-out sources, ``share_nearer`` depends on which they are by more than its error
      says: with 15 of them (HST/ACS galaxies brighter than 22.5), galaxies of 25 other sources
      that are new for sure had 0.1 to 0.4, but a ``share_copies`` of 0.01 to 0.03, and copies 0.5.
      So it is ``share_copies`` that convicts a model; a ``share_nearer`` of 0.05 clears it.
    * The held-out galaxies have to be like the training galaxies, and the generated ones have to
      be made for the columns of the held-out ones: a smooth galaxy is near to any other one, so
      that the distance depends on magnitude and size.
    * For the same reason a model that makes too smooth galaxies comes nearer to the training set
      without having memorised it.  Pass stamps of parametric fits to the held-out galaxies as
      ``generated`` to see how much smoothness alone does; ``share_copies`` is less affected.
    * Parts of galaxies that are repeated in new arrangements are not recognised.

    Parameters:
        generated:          Images of generated galaxies, shape [n, s, s].
        held_out:           Images of real galaxies that were not trained on, shape [h, s, s].
        training:           Images of the training galaxies, shape [m, s, s].
        training_sources:   Number of the galaxy that each of them was made from, shape [m].
        held_out_sources:   The same for ``held_out``, shape [h].
                            [default: None, each of its own]
        seed:               Seed of the bootstrap.  [default: 0]
        count:              Number of resamplings.  [default: 200]

    Returns:
        a dict of the medians and shares named above, of ``generated_median`` and of
        ``strangers_median`` (training galaxies and those of other sources), each also with its
        standard error under the name that ends in ``_error``, from resampling sources (and
        generated galaxies) with replacement; and of the numbers ``n_generated``, ``n_held_out``,
        ``n_training`` and ``n_copies``.
    """
    training_sources = np.asarray(training_sources)
    if held_out_sources is None:
        held_out_sources = np.arange(len(held_out))
    copies = copy_distances(training, training_sources)
    paired = np.isfinite(copies)
    strangers = stranger_distances(training, training_sources)
    apart = np.isfinite(strangers)
    sets = [
        (nearest_distances(generated, training)[0], np.arange(len(generated))),
        (nearest_distances(held_out, training)[0], np.asarray(held_out_sources)),
        (copies[paired], training_sources[paired]),
        (strangers[apart], training_sources[apart]),
    ]
    values = _summary(*(distance for distance, _ in sets))
    rng = np.random.default_rng(seed)
    members = [[np.flatnonzero(groups == group) for group in np.unique(groups)]
               for _, groups in sets]
    drawn = [_summary(*(distance[_resampled(rng, groups)]
                        for (distance, _), groups in zip(sets, members, strict=True)))
             for _ in range(count)]
    result = {}
    for name, value in values.items():
        result[name] = value
        result[name + "_error"] = float(np.std([one[name] for one in drawn]))
    return result | {
        "n_generated": len(generated), "n_held_out": len(held_out), "n_training": len(training),
        "n_copies": int(paired.sum())}


# Queries that are compared at once: bounds the memory to some 10 MB per thousand training images.
_CHUNK = 512


def _summary(generated, held_out, copies, strangers):
    """What `memorisation` reports on its sets of distances; NaN without any of a set."""
    def median(distance):
        return float(np.median(distance)) if len(distance) else np.nan

    def share(distance, limit):
        known = len(distance) and np.isfinite(limit)
        return float((distance < limit).mean()) if known else np.nan

    def near(distance):
        return np.quantile(distance, 0.05) if len(distance) else np.nan

    return {
        "generated_median": median(generated),
        "held_out_median": median(held_out),
        "copies_median": median(copies),
        "strangers_median": median(strangers),
        "share_nearer": share(generated, near(held_out)),
        "share_nearer_strangers": share(generated, near(strangers)),
        "share_copies": share(generated, median(copies)),
        "held_out_share_copies": share(held_out, median(copies)),
    }


def _resampled(rng, groups):
    """Indices of a bootstrap sample: whole groups with replacement."""
    if not groups:
        return np.zeros(0, int)
    return np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))])


def _versions(images):
    """The images as they are, turned by 180 degrees, and both mirrored."""
    return (images, images[:, ::-1, ::-1], images[:, :, ::-1], images[:, ::-1, :])


def _gaussian(sigma, limit):
    """Normalised samples of a Gaussian, an odd number of them, less than ``limit``."""
    reach = min(int(np.ceil(4 * sigma)), (limit - 1) // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma)**2)
    return kernel / kernel.sum()


def _smoothed(image, kernel):
    image = ndimage.convolve1d(np.asarray(image, float), kernel, axis=0, mode="constant")
    return ndimage.convolve1d(image, kernel, axis=1, mode="constant")


def _sampled(image, points):
    return ndimage.map_coordinates(image, points, order=3, mode="constant")


def _frame(found, unit, size):
    """Where the pixels of the frame lie in the stamp, and which of them are within the disk.

    Parameters:
        found:  Adaptive moments of the galaxy [pixels].
        unit:   Its size [pixels].
        size:   Size of the frame [pixels].

    Returns:
        row and column indices, shape [2, size, size], and a bool array, shape [size, size].
    """
    y, x = (2 * _EXTENT / size) * (np.indices((size, size)) - 0.5 * (size - 1))
    angle = found.observed_shape.beta / galsim.radians
    column = found.moments_centroid.x + unit * (np.cos(angle) * x - np.sin(angle) * y)
    row = found.moments_centroid.y + unit * (np.sin(angle) * x + np.cos(angle) * y)
    return np.stack([row, column]), np.hypot(x, y) < _EXTENT
