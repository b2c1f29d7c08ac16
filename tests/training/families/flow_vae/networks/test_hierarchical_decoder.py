"""The hierarchical decoder: what each of its latents does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.flow_vae.networks.hierarchical_decoder import HierarchicalDecoder

MAPS = (2, 1, 0)
FEATURES = [(2, 2, 8), (4, 4, 6), (8, 8, 4)]
GRIDS = [(8, 3), (4, 5)]
PIXELS = [24, 20]


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def make_decoder(grids=GRIDS):
    keras.utils.set_random_seed(0)
    return HierarchicalDecoder(2, channels=(8, 6, 4), maps=MAPS, hidden=16, start=4, grids=grids)


@pytest.fixture
def decoder(awaken):
    decoder = make_decoder()
    decoder.infer(normal(1, 5), normal(1, 2), features(1), noise(decoder, 1))
    awaken(decoder)
    return decoder


def features(count, seed=3):
    return [normal(count, *shape, seed=seed + i) for i, shape in enumerate(FEATURES)]


def noise(decoder, count, seed=7):
    return [normal(count, *shape, seed=seed + i) for i, shape in enumerate(decoder.map_shapes)]


def test_shapes(decoder):
    assert decoder.map_shapes == [(2, 2, 2), (4, 4, 1), (8, 8, 0)]
    images = decoder(normal(3, 5), normal(3, 2), noise(decoder, 3))
    assert [image.shape for image in images] == [(3, size, size) for size in PIXELS]
    images, posteriors = decoder.infer(normal(3, 5), normal(3, 2), features(3), noise(decoder, 3))
    assert [image.shape for image in images] == [(3, size, size) for size in PIXELS]
    for (mean, scale), shape in zip(posteriors, decoder.map_shapes, strict=True):
        assert mean.shape == scale.shape == (3, *shape)
        assert np.all(scale > 0)


def test_starts_with_zeros():
    decoder = make_decoder()
    images = decoder(normal(2, 5), normal(2, 2), noise(decoder, 2))
    for image, size in zip(images, PIXELS, strict=True):
        np.testing.assert_array_equal(image, np.zeros((2, size, size)))


def test_grids_have_to_be_concentric():
    with pytest.raises(ValueError):
        make_decoder(grids=[(8, 3), (5, 3)])


def test_decoding_the_inferred_maps_gives_the_same_images(decoder):
    vector, conditions, normals = normal(3, 5), normal(3, 2), noise(decoder, 3)
    inferred, posteriors = decoder.infer(vector, conditions, features(3), normals)
    maps = [mean + scale * n for (mean, scale), n in zip(posteriors, normals, strict=True)]
    for image, expected in zip(decoder(vector, conditions, maps), inferred, strict=True):
        np.testing.assert_allclose(image, expected, atol=1e-5)


def test_inner_grid_shows_the_centre_of_the_outer_one(decoder):
    """With constant patches, the two agree in the middle of each cell."""
    for layer in decoder.upsampling:
        weight = np.zeros(layer.weight.shape, np.float32)
        weight[..., :2] = 1.0
        layer.weight.assign(weight)
        layer.bias.assign([0.0])
    outer, inner = decoder(normal(2, 5), normal(2, 2), noise(decoder, 2))
    np.testing.assert_allclose(outer[:, 7:18:3, 7:18:3], inner[:, 2::5, 2::5], atol=1e-5)
    assert np.ptp(inner) > 1e-3


@pytest.mark.parametrize("level", [0, 1])
def test_each_map_acts_locally(decoder, level):
    vector, conditions, maps = normal(1, 5), normal(1, 2), noise(decoder, 1)
    before = decoder(vector, conditions, maps)[0].numpy()[0]
    height, width, count = decoder.map_shapes[level]
    push = np.zeros((1, height, width, count), np.float32)
    push[0, 0, 0] = 3.0
    maps[level] = maps[level] + push
    change = np.abs(decoder(vector, conditions, maps)[0].numpy()[0] - before)
    assert change.max() > 1e-4
    # A latent of the corner acts on its neighbourhood most.
    assert np.unravel_index(change.argmax(), change.shape)[0] < 18


@pytest.mark.parametrize("name", ["vector", "conditions"])
def test_vector_and_conditions_affect_their_own_galaxy_only(decoder, name):
    inputs = dict(vector=normal(2, 5), conditions=normal(2, 2))
    maps = noise(decoder, 2)
    before = decoder(**inputs, maps=maps)
    inputs[name] = inputs[name] + tf.constant([[0.0], [1.0]])
    for old, new in zip(before, decoder(**inputs, maps=maps), strict=True):
        assert np.abs(new[1] - old[1]).max() > 1e-4
        np.testing.assert_allclose(new[0], old[0], atol=1e-6)


def test_posterior_depends_on_the_features(decoder):
    first, second = (
        decoder.infer(normal(2, 5), normal(2, 2), features(2, seed=seed), noise(decoder, 2))[1]
        for seed in (3, 30))
    for level in range(2):
        assert np.abs(first[level][0] - second[level][0]).max() > 1e-3
