import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.critic import CodeEncoder, Discriminator, Trunk, laid


@pytest.fixture
def features():
    return np.random.default_rng(1).standard_normal((4, 6, 6, 8)).astype(np.float32)


def test_laid_puts_the_middle_where_it_belongs():
    wide = np.zeros((1, 8, 8, 1), np.float32)
    close = np.ones((1, 8, 8, 1), np.float32)
    close[0, 0, 0] = 7.0
    x = laid([wide, close], [(4, 2), (2, 4)]).numpy()
    assert x.shape == (1, 4, 4, 4 + 16)
    assert (x[..., :4] == 0).all()
    # Cells of the finer grid lie on the middle of the wider one, and nowhere else.
    assert (x[0, 1:3, 1:3, 4:] > 0).all() and x[..., 4:].sum() == close.sum()
    assert x[0, 1, 1].max() == 7.0


@pytest.mark.parametrize("halvings, side", [(0, 8), (1, 4), (2, 2)])
def test_trunk(halvings, side):
    images = [np.ones((3, 16, 16, 2), np.float32), np.ones((3, 16, 16, 2), np.float32)]
    assert Trunk(5, halvings, [(8, 2), (4, 4)])(images).shape == (3, side, side, 5)


def test_without_conditions_nothing_beside_the_image_counts(features):
    judge = Discriminator(8, conditional=False)
    assert judge(features, tf.zeros([4, 0])).shape == (4,)
    assert judge.embed is None


def test_projection_is_linear_in_what_is_beside(features):
    judge = Discriminator(8, conditional=True)
    zero = judge(features, tf.zeros([4, 3]))
    one, two = (judge(features, value * tf.ones([4, 3])) for value in (1.0, 2.0))
    assert np.abs(one - zero).max() > 1e-6
    np.testing.assert_allclose(two - zero, 2 * (one - zero), rtol=1e-3, atol=1e-6)


def test_a_joint_layer_says_more_than_the_projection(features):
    judge = Discriminator(8, conditional=True, joint=16)
    less, zero, more = (judge(features, value * tf.ones([4, 3])) for value in (-30.0, 0.0, 30.0))
    # Whatever the weights are, the projection's rounding is a hundred times less.
    assert np.abs(less + more - 2 * zero).max() > 1e-5 * np.abs(more - zero).max()
    assert Discriminator(8, conditional=False, joint=16).joint is None


def test_encoder(features):
    encode = CodeEncoder(5, 8, 6, 16)
    mean, scale = encode(features, tf.zeros([4, 2]))
    assert mean.shape == scale.shape == (4, 5)
    assert (scale.numpy() > 0).all()
    assert len(encode.blocks) == 1  # 6 cells become 3
