import numpy as np
import pytest

from galsim_deep_training.networks.residual import Down, Up


def test_up():
    x, condition = np.ones((2, 6, 6, 5), np.float32), np.ones((2, 3), np.float32)
    assert Up(7)(x, condition, training=True).shape == (2, 12, 12, 7)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("halves, side", [(True, 3), (False, 6)])
def test_down(first, halves, side):
    x = np.ones((2, 6, 6, 5), np.float32)
    assert Down(7, halves=halves, first=first)(x).shape == (2, side, side, 7)


def test_a_block_that_keeps_the_grid_and_the_channels_has_an_identity_beside_it():
    x = np.random.default_rng(1).standard_normal((2, 6, 6, 7)).astype(np.float32)
    block = Down(7, halves=False)
    block(x)
    assert block.skip is None
    block.convs[1].kernel.assign(0 * block.convs[1].kernel)
    np.testing.assert_allclose(block(x), x)


def test_the_first_block_sees_what_is_negative():
    x = -np.abs(np.random.default_rng(1).standard_normal((2, 6, 6, 5))).astype(np.float32)
    for first in (True, False):
        block = Down(7, first=first)
        block(x)
        block.skip.kernel.assign(0 * block.skip.kernel)
        seen = np.abs(block(x).numpy()).max()
        assert (seen > 0) == first


def test_parameters():
    """Kernels, biases, the maps of the condition, and a skip."""
    block = Up(8)
    block(np.ones((1, 4, 4, 8), np.float32), np.ones((1, 3), np.float32))
    count = sum(int(np.prod(v.shape)) for v in block.trainable_variables)
    assert count == 2 * (9 * 64 + 8) + 2 * 3 * 16 + 64 + 8
