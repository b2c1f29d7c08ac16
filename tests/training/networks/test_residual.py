"""Residual blocks: shapes, skip connections and numbers of parameters."""

import numpy as np
import pytest

from galsim_deep_training.networks.residual import ResBlockDown, ResBlockUp


def normal(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def test_up_doubles_the_resolution():
    assert ResBlockUp(7)(normal(2, 6, 6, 5), normal(2, 3), training=True).shape == (2, 12, 12, 7)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("downsample, side", [(True, 3), (False, 6)])
def test_down_halves_the_resolution(first, downsample, side):
    block = ResBlockDown(7, downsample=downsample, first=first)
    assert block(normal(2, 6, 6, 5)).shape == (2, side, side, 7)


def test_skip_connection_is_the_identity_if_nothing_changes():
    x = normal(2, 6, 6, 7)
    block = ResBlockDown(7, downsample=False)
    block(x)
    assert block.skip is None
    block.convs[1].kernel.assign(0 * block.convs[1].kernel)
    np.testing.assert_allclose(block(x), x)


@pytest.mark.parametrize("first", [True, False])
def test_only_the_first_block_sees_negative_inputs(first):
    x = -np.abs(normal(2, 6, 6, 5))
    block = ResBlockDown(7, first=first)
    block(x)
    block.skip.kernel.assign(0 * block.skip.kernel)
    assert (np.abs(block(x)).max() > 0) == first


def test_number_of_parameters():
    """Kernels and biases of two convolutions, two conditional norms, and a skip connection."""
    block = ResBlockUp(8)
    block(normal(1, 4, 4, 8), normal(1, 3))
    count = sum(int(np.prod(v.shape)) for v in block.trainable_variables)
    assert count == 2 * (9 * 64 + 8) + 2 * 3 * 16 + 64 + 8
