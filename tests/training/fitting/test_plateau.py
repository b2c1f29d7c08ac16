"""A learning rate that falls when the loss does not fall any more."""

import tensorflow as tf

from galsim_deep_training.fitting.plateau import Plateau


def test_it_waits_for_a_smaller_loss():
    plateau, found = Plateau(patience=2, factor=0.1), []
    for loss in (3.0, 4.0, 2.9, 3.0, 2.9, 2.8, 3.0, 3.0):
        plateau.observe(loss)
        found.append(round(float(plateau.multiplier), 6))
    assert found == [1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01]


def test_a_loss_that_is_not_a_number_counts_as_no_progress():
    plateau = Plateau(patience=1, factor=0.5)
    plateau.observe(float("nan"))
    assert float(plateau.multiplier) == 0.5


def test_its_state_is_saved(tmp_path):
    plateau = Plateau(patience=2, factor=0.5)
    for loss in (1.0, 2.0, 2.0, 2.0):
        plateau.observe(loss)
    path = tf.train.Checkpoint(plateau=plateau).save(str(tmp_path / "state"))
    again = Plateau(patience=2, factor=0.5)
    tf.train.Checkpoint(plateau=again).restore(path).assert_consumed()
    for each in (plateau, again):
        each.observe(3.0)
    assert float(again.multiplier) == float(plateau.multiplier) == 0.25
