"""Nested grids: cells lie where they belong."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.nested_grids import (
    central_cells,
    check_grids,
    stack_on_coarse_grid,
)


def test_inner_images_lie_on_the_central_cells():
    outer = np.zeros((1, 8, 8, 1), np.float32)
    inner = np.ones((1, 8, 8, 1), np.float32)
    inner[0, 0, 0] = 7.0
    x = stack_on_coarse_grid([outer, inner], [(4, 2), (2, 4)]).numpy()
    assert x.shape == (1, 4, 4, 4 + 16)
    assert (x[..., :4] == 0).all()
    assert (x[0, 1:3, 1:3, 4:] > 0).all() and x[..., 4:].sum() == inner.sum()
    assert x[0, 1, 1].max() == 7.0


def test_a_single_grid_without_subcells_is_unchanged():
    image = np.random.default_rng(1).normal(size=(2, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(stack_on_coarse_grid([image], [(6, 1)]), image)


@pytest.mark.parametrize("cells, margin, first", [(8, 0, 0), (8, 1, 0), (4, 0, 2), (4, 1, 1)])
def test_central_cells(cells, margin, first):
    features = tf.reshape(tf.range(64.0), [1, 8, 8, 1])
    cropped = central_cells(features, cells, margin)
    np.testing.assert_array_equal(cropped, features[:, first:8 - first, first:8 - first])


def test_grids_have_to_be_concentric():
    check_grids([(8, 3), (4, 5), (2, 1)], 8)
    for grids in ([(8, 3), (5, 3)], [(10, 1)]):
        with pytest.raises(ValueError):
            check_grids(grids, 8)
