"""Pixels that show a neighbour or a defect, filled in with what the galaxy itself probably has."""

__all__ = ["filled"]

import numpy as np


def filled(image: np.ndarray, usable: np.ndarray, offset: tuple[float, float] = (0.0, 0.0)
           ) -> np.ndarray:
    """Replace the pixels of an image that cannot be used.

    A pixel takes the value of the one on the other side of the galaxy's centre, with its noise.
    Where that one cannot be used either, it takes the median of the usable pixels at the same
    distance from the centre (to a pixel), and zero if there are none.

    Parameters:
        image:      Shape [S, S].
        usable:     Which pixels can be used, bool [S, S].
        offset:     Position (x, y) of the galaxy from the true centre of the image [pixels].  The
                    opposite pixel is the one nearest to the opposite point.

    Returns:
        an array of the shape and type of ``image``.

    Example:

        >>> image = np.arange(9.0).reshape(3, 3)
        >>> usable = np.ones((3, 3), bool)
        >>> usable[0, 0] = False
        >>> filled(image, usable)[0]
        array([8., 1., 2.])
    """
    if usable.all():
        return image
    result = np.where(usable, image, 0)
    middle = [0.5 * (n - 1) + shift for n, shift in zip(image.shape, offset[::-1], strict=True)]
    rows, columns = np.nonzero(~usable)
    opposite = [np.round(2 * centre - index).astype(int)
                for centre, index in zip(middle, (rows, columns), strict=True)]
    inside = np.all([(index >= 0) & (index < n)
                     for index, n in zip(opposite, image.shape, strict=True)], axis=0)
    clipped = [np.clip(index, 0, n - 1) for index, n in zip(opposite, image.shape, strict=True)]
    mirrored = inside & usable[clipped[0], clipped[1]]
    result[rows[mirrored], columns[mirrored]] = image[clipped[0], clipped[1]][mirrored]
    y, x = np.indices(image.shape)
    distance = np.round(np.hypot(y - middle[0], x - middle[1])).astype(int)
    for ring in np.unique(distance[rows[~mirrored], columns[~mirrored]]):
        around = image[usable & (distance == ring)]
        chosen = ~mirrored & (distance[rows, columns] == ring)
        result[rows[chosen], columns[chosen]] = np.median(around) if len(around) else 0
    return result
