"""Residual networks from images to vectors."""

import numpy as np
import pytest
import tensorflow as tf

from galsim_deep_training.networks.resnet import ResNet, ResNetSettings


def test_an_image_does_not_depend_on_the_others():
    network = ResNet(ResNetSettings(blocks=[1, 2], channels=[4, 6]))
    images = tf.random.stateless_uniform([4, 16, 16, 1], [1, 2])
    network(images, training=True)  # moves the averages of the normalisation
    together = network(images)
    np.testing.assert_allclose(network(images[1:2]), together[1:2], rtol=1e-4, atol=1e-6)


def test_resnet_34():
    """34 layers with weights: 33 convolutions of 3x3 here, and a classifier that is left out."""
    network = ResNet(ResNetSettings(blocks=[3, 4, 6, 3], channels=[8, 16, 32, 64]))
    assert network(tf.ones([1, 64, 64, 1])).shape == (1, 64)
    kernels = [weight for weight in network.trainable_variables
               if len(weight.shape) == 4 and weight.shape[0] == 3]
    assert len(kernels) == 33


@pytest.mark.parametrize("change", [dict(blocks=[1, 1]), dict(blocks=[], channels=[])])
def test_each_stage_needs_both_numbers(change):
    with pytest.raises(ValueError, match="one number for each stage"):
        ResNetSettings(**change)
