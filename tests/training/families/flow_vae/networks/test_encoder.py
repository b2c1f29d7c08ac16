"""The encoder of the Flow-VAE: shapes, start, bounds, and which inputs the output depends on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.flow_vae.networks.encoder import Encoder


def make_encoder():
    keras.utils.set_random_seed(0)
    return Encoder(5, channels=(4, 6, 8), hidden=16, grids=[(8, 4), (4, 6)])


@pytest.fixture(scope="module")
def encoder():
    return make_encoder()


@pytest.fixture
def inputs():
    rng = np.random.default_rng(1)
    return dict(outer=rng.standard_normal((3, 32, 32, 3)),
                inner=rng.standard_normal((3, 24, 24, 3)),
                conditions=rng.standard_normal((3, 2)))


def encode(encoder, inputs):
    outer, inner, conditions = (tf.constant(value, tf.float32) for value in inputs.values())
    mean, scale, features = encoder([outer, inner], conditions)
    return [tensor.numpy() for tensor in (mean, scale, *features)]


def test_shapes(encoder, inputs):
    mean, scale, *features = encode(encoder, inputs)
    assert mean.shape == scale.shape == (3, 5)
    assert [feature.shape for feature in features] == [(3, 8, 8, 4), (3, 4, 4, 6), (3, 2, 2, 8)]


def test_starts_with_equal_gaussians(encoder, inputs):
    mean, scale, *_ = encode(encoder, inputs)
    np.testing.assert_array_equal(mean, 0.0)
    np.testing.assert_allclose(scale, np.exp(-1.0), rtol=0.03)


def test_scales_are_bounded(inputs, awaken):
    encoder = make_encoder()
    encode(encoder, inputs)
    awaken(encoder, size=1.0)
    for factor in (1e4, -1e4):
        inputs["conditions"] = factor * np.ones((3, 2))
        mean, scale, *_ = encode(encoder, inputs)
        assert np.all(np.isfinite(mean))
        assert np.all((scale >= np.exp(-4.001)) & (scale <= np.exp(4.001)))


@pytest.mark.parametrize("name", ["outer", "inner", "conditions"])
def test_every_input_affects_its_own_galaxy_only(name, inputs, awaken):
    encoder = make_encoder()
    encode(encoder, inputs)
    awaken(encoder)
    before = encode(encoder, inputs)[:2]
    inputs[name][1] *= 1.5
    for old, new in zip(before, encode(encoder, inputs)[:2], strict=True):
        assert np.abs(old[1] - new[1]).max() > 1e-4
        np.testing.assert_allclose(old[[0, 2]], new[[0, 2]], atol=1e-5)


def test_inner_image_affects_the_central_cells(encoder, inputs):
    before = encode(encoder, inputs)[2]
    inputs["inner"][:, :6, :6] += 10.0
    changed = np.abs(encode(encoder, inputs)[2] - before).max(axis=(0, 3)) > 1e-6
    # Its corner is the cell (2, 2); a residual block reaches two cells further.
    assert changed[2, 2] and not changed[5:].any() and not changed[:, 5:].any()
