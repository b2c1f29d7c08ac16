"""The generator: shapes, the three ways of injection, and parameter counts of the thesis."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.networks.discriminator import (
    Discriminator,
    LatentEncoder,
    Trunk,
)
from galsim_deep_training.families.mpcc.networks.generator import INJECTIONS, Generator
from galsim_deep_training.families.mpcc.networks.mixture_prior import MixturePrior

NO_CONDITIONS = tf.zeros([2, 0])


def make_generator(injection="copy", latent_size=6, grids=((8, 2), (4, 4)), **settings):
    return Generator(latent_size, 3, 2, 2, 8, grids, injection=injection, **settings)


def inputs(latent_size=6, columns=0, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((2, latent_size)).astype(np.float32),
            np.eye(3, dtype=np.float32)[[0, 2]],
            rng.standard_normal((2, columns)).astype(np.float32))


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("columns", [0, 2])
def test_shapes(injection, columns):
    generator = make_generator(injection, scalars=1)
    images, scalars = generator(*inputs(columns=columns), training=True)
    assert [image.shape for image in images] == [(2, 16, 16), (2, 16, 16)]
    assert scalars.shape == (2, 1)
    assert make_generator(injection)(*inputs(columns=columns), training=True)[1] is None


@pytest.mark.long
@pytest.mark.parametrize("changed", ["latent", "classes", "conditions"])
@pytest.mark.parametrize("injection", INJECTIONS)
def test_every_input_affects_the_images(injection, changed):
    generator = make_generator(injection)
    arguments = dict(zip(("latent", "classes", "conditions"), inputs(columns=2), strict=True))
    for _ in range(3):
        generator(**arguments, training=True)
    before = generator(**arguments)[0][0].numpy()
    arguments[changed] = (arguments[changed][::-1] if changed == "classes"
                          else arguments[changed] + 1.0)
    assert np.abs(generator(**arguments)[0][0] - before).max() > 1e-6 * np.ptp(before)


def test_noise_moves_details():
    """Each resolution has noise of its own, and the scalars have none."""
    generator = make_generator(scalars=1, noise_maps=[2, 0, 1], wraps=True, grids=[(8, 2)])
    assert generator.noise_shapes == [(2, 4, 2), (4, 8, 0), (8, 16, 1)]
    assert generator.noise_size == 16 + 128
    zeros = np.zeros((2, 144), np.float32)
    _, scalars = generator(*inputs(), tf.constant(zeros), training=True)

    def changed(noise):
        images, same = generator(*inputs(), tf.constant(noise))
        np.testing.assert_array_equal(same, scalars)
        assert images[0].shape == (2, 16, 32)
        return images[0].numpy()

    plain = changed(zeros)
    np.testing.assert_array_equal(plain, generator(*inputs())[0][0])
    for number, cells in ((0, 2), (16 + 3 * 16 + 5, 1)):
        noise = zeros.copy()
        noise[:, number] = 3.0
        change = np.abs(changed(noise) - plain)[0]
        # About the place of the noise, and not everywhere.
        assert change.max() > 1e-6 * np.ptp(plain)
        assert change.max() > 3 * np.median(change), cells


@pytest.mark.parametrize("settings", [
    dict(noise_maps=[1, 1, 1, 1]), dict(wraps=True, grids=((8, 2), (4, 4)))])
def test_networks_that_are_not_possible(settings):
    with pytest.raises(ValueError, match="maps of noise|nested"):
        make_generator(**settings)


def test_split_gives_each_block_a_piece_of_the_latent():
    """The entry and each of two blocks get a third of the latent."""
    generator = make_generator("split")
    generator(*inputs(), training=True)
    assert generator.entry.kernel.shape == (2, 4 * 8)
    assert generator.blocks[0].norms[0].affine.kernel.shape == (6 + 2, 16)


def test_split_needs_equal_pieces():
    with pytest.raises(ValueError):
        make_generator("split", latent_size=7)


# For images of 32 x 32 pixels with one channel: (channels, J, hidden, injection), and the parameter
# counts that follow from tables 8.1 to 8.3 of the thesis for MNIST and FMNIST.
TABLES = {"MNIST": (48, 24, 96, "class", 157249, 148465, 129552, 480),
          "FMNIST": (96, 16, 192, "copy", 590369, 591841, 504800, 320)}


@pytest.mark.long
@pytest.mark.parametrize("data", TABLES)
def test_parameter_counts_of_the_thesis(data):
    channels, size, hidden, injection, *expected = TABLES[data]
    networks = generator, trunk, discriminator, encoder, _ = [
        Generator(size, 10, 4, 3, channels, [(32, 1)], injection=injection),
        Trunk(channels, 2, [(32, 1)]), Discriminator(channels, conditional=False),
        LatentEncoder(size, channels, 8, hidden), MixturePrior(10, size)]
    classes = np.eye(10, dtype=np.float32)[:2]
    generator(np.zeros((2, size), np.float32), classes, NO_CONDITIONS, training=True)
    features = trunk([np.zeros((2, 32, 32, 1), np.float32)])
    discriminator(features, NO_CONDITIONS)
    encoder(features, NO_CONDITIONS)
    count = [sum(int(np.prod(v.shape)) for v in network.trainable_variables)
             for network in networks]
    assert [count[0], count[1] + count[2], count[3], count[4]] == expected
