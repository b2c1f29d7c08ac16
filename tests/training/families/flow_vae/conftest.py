"""What the tests of the Flow-VAE share."""

import pytest
import tensorflow as tf

from galsim_deep_training.families import make_family


@pytest.fixture(scope="module")
def tiny(recipe, data_file, awaken):
    """A family with weights that are all awake, and four galaxies of the test split."""
    from galsim_deep_training.data.dataset import Dataset

    family, dataset = make_family(recipe), Dataset(data_file)
    family.prepare(dataset)
    for network in family.networks.values():
        awaken(network, size=0.05)
    batch = dataset.read(dataset.test_indices[:4])
    return family, {name: tf.constant(value) for name, value in batch.items()}
