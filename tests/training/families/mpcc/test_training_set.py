"""Properties of the training set that the simulation of stamps uses."""

import galsim
import numpy as np
import pytest

from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families import make_family
from galsim_deep_training.fitting.checkpoints import Checkpoints


@pytest.mark.long
def test_classes_are_equally_frequent_without_labels(make):
    family, _ = make("conditional")
    np.testing.assert_array_equal(
        family.training_set.class_shares, np.full((1, 3), np.float32(1 / 3)))
    np.testing.assert_array_equal(family.training_set.clipping, [0.0, 0.0])


@pytest.mark.long
def test_classes_are_as_frequent_as_their_labels(bars):
    recipe, run = bars
    dataset = Dataset(run / "data.h5")
    dataset.label = (np.arange(60) % 3 == 0).astype(int)
    family = make_family(recipe)
    family.prepare(dataset)
    share = dataset.label[dataset.train_indices].mean()
    np.testing.assert_allclose(family.training_set.class_shares, [[1 - share, share]], rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("labels", [np.arange(60) % 2 + 1, np.arange(60) % 2 - 1,
                                    np.zeros(60, int)])
def test_labels_that_are_not_the_classes(bars, labels):
    recipe, run = bars
    dataset = Dataset(run / "data.h5")
    dataset.label = labels
    with pytest.raises(galsim.GalSimConfigError, match="model.classes.supervised"):
        make_family(recipe).prepare(dataset)


def test_it_is_restored_with_a_checkpoint(labelled, tmp_path):
    """Class shares and clipping, without the data set."""
    family, dataset = labelled
    family.training_set.class_shares.assign([[0.25, 0.75]])
    family.training_set.clipping.assign([3.0, 5.0])
    other = make_family(family.recipe)
    Checkpoints(family.phases[0], "adversarial-1", tmp_path, family.prepared).save(10)
    Checkpoints(other.phases[0], "adversarial-1", tmp_path, other.prepared).restore()
    np.testing.assert_array_equal(other.training_set.class_shares, [[0.25, 0.75]])
    np.testing.assert_array_equal(other.training_set.clipping, [3.0, 5.0])
