"""The residual autoencoder."""

import numpy as np
import pytest
import tensorflow as tf
from galsim import GalSimConfigError

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family
from galsim_deep_training.families.residual_autoencoder.family import ScaledBlock
from galsim_deep_training.fitting.graphs import as_graph


def test_the_architecture_of_the_challenge(make_recipe):
    """Five levels, of six blocks in the encoder and of one in the decoder; a sigmoid at the end of
    the encoder."""
    def change(content):
        content["model"] = dict(kind="residual_autoencoder")
    family = make_family(make_recipe(change, family="residual_autoencoder"))
    for network, blocks in ((family.encoder, 30), (family.decoder, 5)):
        assert sum(isinstance(layer, ScaledBlock) for layer in network.layers) == blocks
    embedding = family.embed(tf.ones([2, 32, 32])).numpy()
    assert embedding.shape == (2, 64) and 0 < embedding.min() < embedding.max() < 1


def test_a_block_counts_by_its_factor(awaken):
    block = ScaledBlock(3)
    x = tf.random.stateless_normal([2, 4, 4, 3], [1, 2])
    block.alpha.assign(0.0)
    np.testing.assert_array_equal(block(x), x)
    block.alpha.assign(1.0)
    full = block(x) - x
    block.alpha.assign(0.5)
    np.testing.assert_allclose(block(x) - x, 0.5 * full, rtol=1e-4, atol=1e-6)
    assert np.abs(full).max() > 0.1


def test_a_fit_learns_to_draw_images(make_recipe, data_file):
    def change(content):
        content["fit"]["reconstruction"].update(steps=80, learning_rate=0.01, warm_up=5, clip=10.0)
    family, dataset = make_family(make_recipe(change, family="residual_autoencoder")), Dataset(
        data_file)
    (phase,) = family.phases
    step = as_graph(phase.step)
    found = [step(dict(batch, stamp=batch["stamp"] / 50.0), tf.constant(number))
             for number, batch in zip(range(80), phase.batches(dataset, 0), strict=False)]
    losses = [float(scalars["loss"]) for scalars in found]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


@pytest.mark.parametrize("channels, words", [
    ([4] * 7, "stamp.size is 32.*multiple of 128"), ([], "at least one")])
def test_levels_that_do_not_fit(make_recipe, channels, words):
    def change(content):
        content["model"].update(channels=channels)
    with pytest.raises(GalSimConfigError, match=words):
        make_family(make_recipe(change, family="residual_autoencoder"))
