"""Networks on polar grids: their last column is next to the first."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.flow_vae.networks.polar import (
    PolarDecoder,
    PolarEncoder,
    doubled,
)


def normal(*shape, seed=1):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


@pytest.fixture
def decoder(awaken):
    made = PolarDecoder((2, 4), channels=(8, 6, 4), maps=(2, 1, 0), hidden=8, start=4,
                        envelope_size=5)
    vector, conditions, maps = normal(2, 3), normal(2, 2), [normal(2, *s) for s in made.map_shapes]
    made.structure(vector, conditions, maps)
    made.envelope(vector, conditions)
    made.infer(vector, conditions, [normal(2, 2, 4, 5), normal(2, 4, 8, 5), None], maps)
    awaken(made)
    return made


def test_doubled():
    """It keeps constants and mean values; columns are periodic, rows are not."""
    maps = normal(3, 4, 8)
    fine = doubled(maps)
    assert fine.shape == (3, 8, 16)
    np.testing.assert_allclose(tf.reduce_mean(fine, axis=2)[:, ::2],
                               doubled(tf.reduce_mean(maps, 2, keepdims=True))[:, ::2, 0],
                               atol=1e-6)
    np.testing.assert_allclose(doubled(tf.ones([1, 4, 8])), 1.0, rtol=1e-6)
    turned = doubled(tf.roll(maps, 3, axis=2))
    np.testing.assert_allclose(turned, tf.roll(fine, 6, axis=2), atol=1e-6)


def test_an_encoder_does_not_see_the_seam(awaken):
    """Its features turn with the columns by whole cells of the lowest resolution."""
    encoder = PolarEncoder(latent_size=4, channels=(4, 6), hidden=8)
    views, rings, conditions = normal(2, 16, 32, 3), normal(2, 32), normal(2, 3)
    encoder(views, rings, conditions)
    awaken(encoder)
    mean, scale, features = encoder(views, rings, conditions)
    assert mean.shape == scale.shape == (2, 4) and np.all(scale > 0)
    turned = encoder(tf.roll(views, 8, axis=2), rings, conditions)[2]
    for one, other, shift in zip(features, turned, (4, 2), strict=True):
        np.testing.assert_allclose(tf.roll(one, shift, axis=2), other, atol=1e-5)


def test_coarse_structure_is_the_first_part_of_fine_structure(decoder):
    vector, conditions = normal(2, 3), normal(2, 2)
    maps = [normal(2, *shape) for shape in decoder.map_shapes]
    coarse, fine = (decoder.structure(vector, conditions, maps[:n]) for n in (2, 3))
    assert coarse.shape == (2, 4, 8) and fine.shape == (2, 8, 16)
    detail = fine - doubled(coarse)
    assert 0 < np.std(detail)


def test_inference_without_noise_decodes_the_means(decoder):
    vector, conditions = normal(2, 3), normal(2, 2)
    features = [normal(2, 2, 4, 5), normal(2, 4, 8, 5), None]
    zeros = [tf.zeros([2, *shape]) for shape in decoder.map_shapes]
    structure, posteriors = decoder.infer(vector, conditions, features, zeros)
    means = [mean for mean, _ in posteriors] + [zeros[2]]
    np.testing.assert_allclose(structure, decoder.structure(vector, conditions, means), atol=1e-6)


def test_the_envelope_does_not_depend_on_the_variables_of_the_structure(decoder):
    vector, conditions = normal(2, 3), normal(2, 2)
    before = decoder.envelope(vector, conditions)
    for variable in decoder.structure_variables:
        variable.assign(2.0 * variable.value + 0.1)
    np.testing.assert_array_equal(decoder.envelope(vector, conditions), before)
