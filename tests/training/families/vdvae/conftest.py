"""A tiny very deep VAE, and a batch of stamps."""

import pytest
import tensorflow as tf

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family


@pytest.fixture(scope="module")
def family(make_recipe, data_file, awaken):
    family = make_family(make_recipe(family="vdvae"))
    family.prepare(Dataset(data_file))
    for network in family.networks.values():
        awaken(network)
    return family


@pytest.fixture(scope="module")
def batch(data_file):
    dataset = Dataset(data_file)
    return {name: tf.constant(value)
            for name, value in dataset.read(dataset.test_indices[:4]).items()}


@pytest.fixture(scope="module")
def columns(family, batch):
    """The columns of the batch."""
    return {column.name: batch[column.name] for column in family.recipe.columns}
