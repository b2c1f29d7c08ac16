"""The encoder: what its answer depends on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.encoder import Encoder, centred


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(0)
    return Encoder(5, channels=(4, 6), hidden=16)


@pytest.fixture
def inputs():
    rng = np.random.default_rng(1)
    return dict(
        stamps=rng.standard_normal((3, 32, 32)), psfs=rng.random((3, 17, 17)) / 289,
        noise_sigma=rng.uniform(0.5, 2.0, 3), flux=rng.uniform(10, 100, 3),
        context=rng.standard_normal((3, 2)))


def encode(encoder, inputs):
    return [tensor.numpy() for tensor in encoder(
        *(tf.constant(value, tf.float32) for value in inputs.values()))]


def test_shapes(encoder, inputs):
    mean, scale = encode(encoder, inputs)
    assert mean.shape == scale.shape == (3, 5)
    assert np.all(scale > 0)
    # Scales start near 1 / e, and cannot leave a range that is safe.
    assert np.all((scale > 0.1) & (scale < 1.5))


def test_scales_are_bounded(encoder, inputs):
    for factor in (1e4, -1e4):
        inputs["context"] = factor * np.ones((3, 2))
        mean, scale = encode(encoder, inputs)
        assert np.all(np.isfinite(mean))
        assert np.all((scale >= np.exp(-5.001)) & (scale <= np.exp(3.001)))


@pytest.mark.parametrize("name", ["stamps", "psfs", "noise_sigma", "flux", "context"])
def test_everything_counts(name, encoder, inputs):
    before = encode(encoder, inputs)
    inputs[name] = inputs[name].copy()
    inputs[name][1] *= 1.5
    after = encode(encoder, inputs)
    for one, other in zip(before, after, strict=True):
        assert np.all(np.abs(one[1] - other[1]).max() > 1e-4)
        # and only for the galaxy whose input it is
        np.testing.assert_allclose(one[[0, 2]], other[[0, 2]], atol=1e-6)


def test_units_do_not_count(encoder, inputs):
    """The same galaxy in other units of flux is the same galaxy."""
    before = encode(encoder, inputs)
    for name in ("stamps", "noise_sigma", "flux"):
        inputs[name] = 1000.0 * inputs[name]
    for one, other in zip(before, encode(encoder, inputs), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_psf_of_any_size(inputs):
    for size in (9, 31, 41):
        inputs["psfs"] = np.random.default_rng(2).random((3, size, size)) / size**2
        mean, scale = encode(Encoder(5, channels=(4,), hidden=8), inputs)
        assert mean.shape == (3, 5)


@pytest.mark.parametrize("have, size", [(17, 32), (17, 31), (65, 32), (33, 32), (32, 32)])
def test_centred(have, size):
    psfs = np.random.default_rng(3).random((2, have, have)).astype(np.float32)
    result = centred(tf.constant(psfs), size).numpy()
    assert result.shape == (2, size, size)
    if have <= size:
        before = (size - have) // 2
        np.testing.assert_array_equal(result[:, before:before + have, before:before + have], psfs)
        assert result.sum() == pytest.approx(psfs.sum(), rel=1e-5)
    else:
        start = (have - size) // 2
        np.testing.assert_array_equal(result, psfs[:, start:start + size, start:start + size])
    # Where the parities allow it, the middle is the middle; else half a pixel off.
    if (have - size) % 2 == 0:
        point = np.zeros((1, have, have), np.float32)
        point[0, have // 2, have // 2] = 1.0
        assert centred(tf.constant(point), size).numpy()[0, size // 2, size // 2] == 1.0
