"""The pixels of a galaxy and those of other objects, where a survey does not tell them."""

import numpy as np
import sep
from scipy import ndimage

THRESHOLD = 1.5
"""Brightness of the pixels of a segment, smoothed [standard deviations of the unsmoothed noise]."""
SMALLEST = 8
"""Fewest pixels of an object."""
GROWTH = 2
"""Pixels by which the masks of other objects are grown, since their light goes on."""

_KERNEL = np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0])


def no_data(image: np.ndarray) -> np.ndarray:
    """Areas where an image is exactly zero, bool [h, w]; single pixels are zero by rounding."""
    return ndimage.binary_opening(image == 0, np.ones((3, 3)))


def rough_sky(image: np.ndarray, usable: np.ndarray) -> tuple[float, float]:
    """Sky and noise, from the darker half of the pixels about the mode."""
    values = image[usable]
    for _ in range(20):
        middle = np.median(values)
        sigma = 1.4826 * np.median(np.abs(values - middle))
        kept = values[np.abs(values - middle) < 2.5 * sigma]
        if len(kept) == len(values) or len(kept) < 50:
            break
        values = kept
    mode = 2.5 * np.median(values) - 1.5 * values.mean()
    # Pixels below the mode have no light of objects, and their scatter is that of the noise.
    below = image[usable & (image < mode)] - mode
    return float(mode), float(1.4826 * np.median(np.abs(below))) if len(below) > 20 else sigma


def find_segments(image: np.ndarray, usable: np.ndarray, contrast: float
                  ) -> tuple[np.ndarray, np.ndarray]:
    """The galaxy in the middle of an image, and other objects.

    Parameters:
        image:      Shape [h, w].
        usable:     Pixels to use, bool [h, w].
        contrast:   Least share of the light of a part of a segment that is an object of its own.

    Returns:
        (segment of the galaxy, other objects, grown), bool [h, w] each.
    """
    sky, sigma = rough_sky(image, usable)
    data = np.ascontiguousarray(image - sky, float)
    _, labels = sep.extract(
        data, THRESHOLD, err=sigma, mask=~usable, minarea=SMALLEST, filter_kernel=_KERNEL,
        deblend_cont=contrast, segmentation_map=True)
    middle = tuple(n // 2 for n in image.shape)
    number = labels[middle]
    if number == 0 and labels.any():
        _, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
        number = labels[tuple(axis[middle] for axis in nearest)]
    segment = np.zeros(usable.shape, bool)
    if number:
        segment = ndimage.binary_fill_holes(labels == number)
    others = (labels != number) & (labels > 0) & ~segment
    return segment, ndimage.binary_dilation(others, iterations=GROWTH)
