"""Pixels that show a neighbour or a defect, filled in with what the galaxy itself probably has."""

__all__ = ["filled", "opposite"]

import numpy as np


def opposite(image: np.ndarray, usable: np.ndarray, centre: tuple[float, float]
             ) -> tuple[np.ndarray, np.ndarray]:
    """The value of the pixel on the other side of a centre, for each pixel.

    Parameters:
        image:      Shape [h, w].
        usable:     Which pixels can be used, bool [h, w].
        centre:     Row and column of the centre [pixels]; zero is the middle of the first pixel.
                    The opposite pixel is the one nearest to the opposite point.

    Returns:
        (values, [h, w]; which of them exist and can be used, bool [h, w]).

    Example:

        >>> image = np.arange(9.0).reshape(3, 3)
        >>> values, known = opposite(image, image > 0, (1.0, 1.0))
        >>> values[0], known[2]
        (array([8., 7., 6.]), array([ True,  True, False]))
    """
    rows, columns = (np.rint(2 * middle - axis).astype(int)
                     for middle, axis in zip(centre, np.indices(image.shape), strict=True))
    inside = ((rows >= 0) & (rows < image.shape[0])
              & (columns >= 0) & (columns < image.shape[1]))
    rows, columns = rows.clip(0, image.shape[0] - 1), columns.clip(0, image.shape[1] - 1)
    return image[rows, columns], inside & usable[rows, columns]


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
    row, column = (0.5 * (n - 1) + shift
                   for n, shift in zip(image.shape, offset[::-1], strict=True))
    values, known = opposite(image, usable, (row, column))
    result = np.where(usable, image, np.where(known, values, 0))
    left = ~usable & ~known
    y, x = np.indices(image.shape)
    distance = np.round(np.hypot(y - row, x - column)).astype(int)
    for ring in np.unique(distance[left]):
        around = image[usable & (distance == ring)]
        result[left & (distance == ring)] = np.median(around) if len(around) else 0
    return result
