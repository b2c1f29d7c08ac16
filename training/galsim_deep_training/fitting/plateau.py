"""A learning rate that falls when the loss on test examples does not fall any more."""

__all__ = ["Plateau"]

import numpy as np
import tensorflow as tf


class Plateau(tf.Module):
    """Multiplies the learning rate by a factor after some evaluations without a smaller loss.

    This is ReduceLROnPlateau of other libraries.  Its variables are saved in checkpoints.

    Parameters:
        patience:   Number of evaluations without a smaller loss, after which the learning rate is
                    reduced.
        factor:     What it is then multiplied by.

    >>> plateau = Plateau(patience=2, factor=0.5)
    >>> for loss in (3.0, 2.0, 2.5, 2.5, 1.0, 1.5):
    ...     plateau.observe(loss)
    >>> float(plateau.multiplier)
    0.5
    """

    def __init__(self, patience: int, factor: float) -> None:
        super().__init__(name="plateau")
        self.patience, self.factor = patience, factor
        self.multiplier = tf.Variable(1.0, trainable=False, name="multiplier")
        self.smallest = tf.Variable(float("inf"), trainable=False, name="smallest")
        self.waited = tf.Variable(0, trainable=False, name="waited")

    def observe(self, loss: float) -> None:
        """Take account of the loss of an evaluation."""
        if np.float32(loss) < self.smallest.numpy():
            self.smallest.assign(loss)
            self.waited.assign(0)
            return
        self.waited.assign_add(1)
        if int(self.waited) >= self.patience:
            self.multiplier.assign(self.multiplier * self.factor)
            self.waited.assign(0)
