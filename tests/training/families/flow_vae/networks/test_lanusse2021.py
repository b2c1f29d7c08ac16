"""Networks of Lanusse et al. 2021: shapes of the paper, and the aids annealed during the fit."""

import galsim
import keras
import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.flow_vae.networks.lanusse2021 import (
    DeepDecoder,
    DeepEncoder,
    annealed,
    bottleneck_penalty,
    channels_of_levels,
    transverse,
)
from galsim_deep_training.fitting.precision import under_policy

SIZE, LATENT = 16, 4
SMALL = dict(latent_size=LATENT, depth=4, max_depth=8, stages=3)


def normal(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def inputs(count=3, seed=0, psf=9):
    return (normal(count, SIZE, SIZE, seed=seed), tf.abs(normal(count, psf, psf, seed=seed + 1)),
            tf.fill([count], 0.5))


def networks():
    keras.utils.set_random_seed(0)
    encoder, decoder = DeepEncoder(SIZE, **SMALL), DeepDecoder(SIZE, **SMALL)
    encoder(*inputs(1))
    decoder(tf.zeros((1, LATENT)))
    return encoder, decoder


@pytest.fixture(scope="module")
def pair(awaken):
    encoder, decoder = networks()
    awaken(encoder)
    awaken(decoder)
    return encoder, decoder


def test_shapes(pair):
    encoder, decoder = pair
    mean, scale, features = encoder(*inputs())
    assert mean.shape == scale.shape == (3, LATENT) and np.all(scale > 0)
    assert [tuple(maps.shape) for maps in features] == [
        (3, 16, 16, 4), (3, 8, 8, 8), (3, 4, 4, 8), (3, 2, 2, 8)]
    assert decoder.unfold(mean).shape == features[-1].shape
    profile = decoder(mean)
    assert profile.shape == (3, SIZE, SIZE) and np.all(profile > 0)


def test_channels_of_the_paper():
    """Table 1, at a stamp of 128 pixels."""
    assert channels_of_levels(16, 512, 7) == [16, 32, 64, 128, 256, 512, 512, 512]


@pytest.mark.long
def test_the_networks_of_the_paper():
    encoder, decoder = DeepEncoder(128), DeepDecoder(128)
    mean, scale, features = encoder(tf.zeros((1, 128, 128)), tf.zeros((1, 65, 65)), tf.ones(1))
    assert mean.shape == scale.shape == (1, 16)
    assert len(encoder.stages) == 7 and [len(blocks) for blocks in encoder.stages] == [2] * 7
    assert [maps.shape[1] for maps in features] == [128, 64, 32, 16, 8, 4, 2, 1]
    profile = decoder(mean, features=features, fraction=0.5)
    assert profile.shape == (1, 128, 128)
    # Profiles start at the level of faint galaxies.
    assert 1e-4 < float(tf.reduce_mean(decoder(mean))) < 1e-2


def test_sizes_that_cannot_be_halved():
    for network in (DeepEncoder, DeepDecoder):
        with pytest.raises(galsim.GalSimConfigError):
            network(24, stages=4)


@pytest.mark.parametrize("psf", [9, 33])
def test_every_input_affects_the_output(psf, pair):
    stamps, psfs, sigma = inputs(psf=psf)
    before = pair[0](stamps, psfs, sigma)[0]
    for changed in [(1.1 * stamps, psfs, sigma), (stamps, 1.1 * psfs, sigma),
                    (stamps, psfs, 1.1 * sigma)]:
        assert np.abs(pair[0](*changed)[0] - before).max() > 1e-5


def test_rows_are_independent(pair):
    encoder, decoder = pair
    together = decoder(encoder(*inputs())[0])
    alone = decoder(encoder(*(value[1:2] for value in inputs()))[0])
    np.testing.assert_allclose(alone[0], together[1], rtol=1e-4)


def test_share_of_zero_means_no_connection(pair):
    encoder, decoder = pair
    latent, _, features = encoder(*inputs())
    np.testing.assert_array_equal(decoder(latent, features=features, fraction=0.0), decoder(latent))
    np.testing.assert_array_equal(
        decoder(latent, features=features, fraction=annealed(5, 10), seed=(3, 5)), decoder(latent))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_share_of_one_replaces_a_level(level, pair):
    """The output depends on the encoder's maps of that level, and not on the latent."""
    encoder, decoder = pair
    features = [None] * 4
    features[level] = encoder(*inputs())[2][level]
    first, second = (decoder(normal(3, LATENT, seed=seed), features=features, fraction=1.0)
                     for seed in (5, 6))
    np.testing.assert_array_equal(first, second)
    features[level] = 1.1 * features[level]
    changed = decoder(normal(3, LATENT, seed=5), features=features, fraction=1.0)
    assert np.abs(changed - first).max() > 1e-6


def test_seed_determines_which_maps_are_replaced(pair):
    encoder, decoder = pair
    latent, _, features = encoder(*inputs())
    first, same, other = (decoder(latent, features=features, fraction=0.5, seed=(1, step))
                          for step in (7, 7, 8))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0
    assert np.abs(first - decoder(latent)).max() > 0


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_transverse_replaces_whole_maps_for_all_galaxies(share):
    mixed = transverse(
        tf.zeros((2, 3, 3, 400)), tf.ones((2, 3, 3, 400)), share, (1, 2)).numpy()
    np.testing.assert_array_equal(mixed, np.broadcast_to(mixed[0, 0, 0], mixed.shape))
    assert mixed[0, 0, 0].mean() == pytest.approx(share, abs=0.08 * (0 < share < 1))


def test_penalty():
    maps = normal(3, 2, 2, 8)
    np.testing.assert_array_equal(bottleneck_penalty(maps, maps), tf.zeros(3))
    np.testing.assert_allclose(bottleneck_penalty(maps, maps + 2.0), tf.fill([3], 4.0), rtol=1e-5)


@pytest.mark.long
def test_penalty_teaches_the_bottleneck_to_reproduce_its_input():
    encoder, decoder = networks()
    optimizer, data = keras.optimizers.Adam(1e-3), inputs(16)
    variables = [*encoder.exit.trainable_variables, *decoder.entry.trainable_variables]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            mean, _, features = encoder(*data)
            loss = tf.reduce_mean(
                bottleneck_penalty(tf.stop_gradient(features[-1]), decoder.unfold(mean)))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    losses = [float(step()) for _ in range(150)]
    assert losses[-1] < 0.7 * losses[0]


def test_annealed():
    strength = [float(annealed(step, 200, until=0.5)) for step in (0, 25, 50, 100, 150, 200)]
    np.testing.assert_allclose(strength, [1.0, 0.75, 0.5, 0.0, 0.0, 0.0], atol=1e-6)
    assert float(annealed(tf.constant(199, tf.int64), 200, until=1.0)) == pytest.approx(0.005)


def test_gradient_reaches_every_weight(pair):
    encoder, decoder = pair
    variables = encoder.trainable_variables + decoder.trainable_variables
    with tf.GradientTape() as tape:
        mean, scale, features = encoder(*inputs())
        profile = decoder(mean + scale, features=features, fraction=0.3, seed=(1, 2))
        loss = tf.reduce_sum(profile**2) + tf.reduce_sum(
            bottleneck_penalty(features[-1], decoder.unfold(mean)))
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None and np.all(np.isfinite(gradient)), variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_graph_equals_eager(pair):
    encoder, decoder = pair
    mean, _, features = encoder(*inputs())
    graph = tf.function(
        lambda latent: decoder(latent, features=features, fraction=0.4, seed=(1, 2)))
    expected = decoder(mean, features=features, fraction=0.4, seed=(1, 2)).numpy()
    np.testing.assert_allclose(graph(mean), expected, atol=1e-5 * expected.max())


@pytest.mark.long
@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_in_sixteen_bits(name):
    """Weights, inputs and outputs are float32; the outputs are nearly the same as in float32."""
    exact = networks()
    with under_policy(name):
        low = networks()
    assert keras.config.dtype_policy().name == "float32"
    for network, low_network in zip(exact, low, strict=True):
        assert all(variable.dtype == "float32" for variable in low_network.variables)
        for variable, low_variable in zip(network.variables, low_network.variables, strict=True):
            np.testing.assert_array_equal(variable, low_variable)
    assert any(layer.compute_dtype == name[6:] for layer in low[0]._flatten_layers())
    outputs, expected = low[0](*inputs()), exact[0](*inputs())
    for low_tensor, tensor in zip(
            tf.nest.flatten(outputs), tf.nest.flatten(expected), strict=True):
        assert low_tensor.dtype == tf.float32
        np.testing.assert_allclose(low_tensor, tensor, atol=0.03 * np.abs(tensor).max())
    profiles = (low[1](outputs[0], features=outputs[2], fraction=0.5),
                exact[1](expected[0], features=expected[2], fraction=0.5))
    assert profiles[0].dtype == tf.float32
    np.testing.assert_allclose(*profiles, atol=0.03 * np.max(profiles[1]))
