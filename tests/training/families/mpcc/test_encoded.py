"""Latents and classes of the stamps of a data set."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.families.mpcc.encoded import encoded


@pytest.mark.long
def test_it_encodes_the_rows_in_their_order(make):
    """With all classes equally frequent."""
    family, dataset = make("unconditional")
    family.canvas.may_be_rotated = False
    rows = dataset.train_indices[[5, 1, 3]]
    stamps = encoded(family, dataset, rows, seed=1)
    batch = {name: tf.constant(value) for name, value in dataset.read(rows).items()}
    mean, scale = family.encode_views(
        family.view(batch["stamp"], batch["psf"], batch["noise_sigma"], batch), tf.zeros([3, 0]))
    np.testing.assert_allclose(stamps["mean"], mean, atol=1e-5)
    np.testing.assert_allclose(stamps["scale"], scale, rtol=1e-4)
    np.testing.assert_allclose(stamps["conditions"], family.conditions(batch), rtol=1e-5)
    density = np.exp(family.prior.log_densities(mean, tf.zeros([3, 0])))
    np.testing.assert_allclose(
        stamps["class_probability"], density / density.sum(axis=1, keepdims=True), rtol=1e-4)


def test_labels_are_certain(labelled):
    family, dataset = labelled
    rows = dataset.train_indices[:5]
    probability = encoded(family, dataset, rows, seed=1)["class_probability"]
    np.testing.assert_array_equal(probability, np.eye(2)[dataset.label[rows]])
