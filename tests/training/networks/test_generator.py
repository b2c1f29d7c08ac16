import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.generator import INJECTIONS, Generator
from galsim_deep_training.networks.mixture import MixturePrior

NOTHING = tf.zeros([2, 0])


def generator(injection="copy", latent_size=6, grids=((8, 2), (4, 4)), **settings):
    return Generator(latent_size, 3, 2, 2, 8, grids, injection=injection, **settings)


def inputs(latent_size=6, columns=0, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((2, latent_size)).astype(np.float32),
            np.eye(3, dtype=np.float32)[[0, 2]],
            rng.standard_normal((2, columns)).astype(np.float32))


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("columns", [0, 2])
def test_shapes(injection, columns):
    numbers, scalars = generator(injection, scalars=1)(*inputs(columns=columns), training=True)
    assert [part.shape for part in numbers] == [(2, 16, 16), (2, 16, 16)]
    assert scalars.shape == (2, 1)
    assert generator(injection)(*inputs(columns=columns), training=True)[1] is None


@pytest.mark.parametrize("injection", INJECTIONS)
def test_latent_class_and_columns_count(injection):
    network = generator(injection)
    latent, classes, context = inputs(columns=2)
    for _ in range(3):
        network(latent, classes, context, training=True)
    before = network(latent, classes, context)[0][0].numpy()
    for changed in ((latent + 1.0, classes, context), (latent, classes[::-1], context),
                    (latent, classes, context + 1.0)):
        assert np.abs(network(*changed)[0][0].numpy() - before).max() > 1e-6 * np.ptp(before)


def test_split_gives_each_block_its_piece():
    """The entry and each of two blocks see a third of the latent."""
    network = generator("split")
    latent, classes, context = inputs()
    network(latent, classes, context, training=True)
    assert network.entry.kernel.shape == (2, 4 * 8)
    assert network.blocks[0].norms[0].affine.kernel.shape == (6 + 2, 16)
    with pytest.raises(ValueError, match="7 latents cannot be cut into 3"):
        generator("split", latent_size=7)


# Of 32 x 32 pixels with one channel: (4 C, J, hidden, injection), and how many parameters
# follow from the tables 8.1 to 8.3 of the thesis for MNIST and FMNIST.
TABLES = {"MNIST": (48, 24, 96, "class", 157249, 148465, 129552, 480),
          "FMNIST": (96, 16, 192, "copy", 590369, 591841, 504800, 320)}


@pytest.mark.parametrize("data", TABLES)
def test_parameters_as_in_the_thesis(data):
    from galsim_deep_training.networks.critic import CodeEncoder, Discriminator, Trunk

    channels, size, hidden, injection, *expected = TABLES[data]
    networks = [Generator(size, 10, 4, 3, channels, [(32, 1)], injection=injection),
                Trunk(channels, 2, [(32, 1)]), Discriminator(channels, conditional=False),
                CodeEncoder(size, channels, 8, hidden), MixturePrior(10, size)]
    generate, trunk, judge, encode, _ = networks
    classes = np.eye(10, dtype=np.float32)[:2]
    generate(np.zeros((2, size), np.float32), classes, NOTHING, training=True)
    features = trunk([np.zeros((2, 32, 32, 1), np.float32)])
    judge(features, NOTHING)
    encode(features, NOTHING)
    count = [sum(int(np.prod(v.shape)) for v in network.trainable_variables)
             for network in networks]
    assert [count[0], count[1] + count[2], count[3], count[4]] == expected
