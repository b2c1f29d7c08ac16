"""Images on nested, concentric grids of different resolution.

The networks work on a grid of coarse cells. An image ``(cells, subcells)`` covers the central
``cells`` by ``cells`` of them, and divides each into ``subcells`` by ``subcells`` pixels: it has
``cells * subcells`` pixels on a side. The first image of a list covers the whole grid.
"""

__all__ = ["Grid", "Grids", "central_cells", "check_grids", "stack_on_coarse_grid"]

from collections.abc import Sequence

import tensorflow as tf

Grid = tuple[int, int]
"""``(cells, subcells)`` of an image."""
Grids = Sequence[Grid]
"""Nested grids, the widest first."""


def check_grids(grids: Grids, coarse_cells: int) -> None:
    """Check that grids are concentric with a coarse grid; a `ValueError` says which one is not.

    >>> check_grids([(8, 2), (4, 8)], coarse_cells=8)
    """
    for cells, _ in grids:
        if cells > coarse_cells or (coarse_cells - cells) % 2:
            raise ValueError(
                f"A grid of {cells} cells cannot be concentric with one of {coarse_cells} cells: "
                "it must not have more cells, and both numbers must be even or both odd.")


def stack_on_coarse_grid(images: Sequence[tf.Tensor], grids: Grids) -> tf.Tensor:
    """Stack images on nested grids as channels of the coarse cells.

    The pixels of each cell become channels, so that no information is lost. Cells that an image
    does not cover are zero.

    Parameters:
        images:     [N, cells * subcells, cells * subcells, K] each.
        grids:      ``(cells, subcells)`` of each image.

    Returns:
        [N, cells, cells, channels], with the cells of the first grid.

    >>> images = [tf.ones([1, 8, 8, 3]), tf.ones([1, 8, 8, 3])]
    >>> stack_on_coarse_grid(images, [(4, 2), (2, 4)]).shape
    TensorShape([1, 4, 4, 60])
    """
    coarse_cells = grids[0][0]

    def stack(image: tf.Tensor, cells: int, subcells: int) -> tf.Tensor:
        if subcells > 1:
            image = tf.nn.space_to_depth(image, subcells)
        edge = (coarse_cells - cells) // 2
        return tf.pad(image, [[0, 0], [edge, edge], [edge, edge], [0, 0]]) if edge else image

    return tf.concat([stack(image, *grid) for image, grid in zip(images, grids, strict=True)],
                     axis=-1)


def central_cells(features: tf.Tensor, cells: int, margin: int = 0) -> tf.Tensor:
    """Crop features to the central cells, with a margin as far as there are cells.

    Parameters:
        features:   [N, h, h, c].
        cells:      Cells on a side to keep.
        margin:     Further cells to keep on each side.

    Returns:
        [N, h', h', c].

    >>> central_cells(tf.ones([1, 8, 8, 3]), cells=4, margin=1).shape
    TensorShape([1, 6, 6, 3])
    """
    size = features.shape[1]
    cut = max((size - cells) // 2 - margin, 0)
    return features[:, cut:size - cut, cut:size - cut] if cut else features
