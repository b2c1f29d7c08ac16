"""The stamps of a test batch on which a phase is judged that is fitted on deep stamps only."""

__all__ = ["deepest_stamps"]

import tensorflow as tf

from ...fitting.phase import Batch


def deepest_stamps(batch: Batch, share: float) -> dict[str, tf.Tensor]:
    """The rows of a batch with the least noise, as `Dataset.deepest` chooses them for the fit.

    Parameters:
        batch:      Tensors [N, ...] by name, with ``noise_sigma``, [N].
        share:      Fraction of the rows to return; at least one row is.

    >>> batch = dict(noise_sigma=tf.constant([0.3, 0.1, 0.2, 0.4]), row=tf.range(4))
    >>> deepest_stamps(batch, 0.5)["row"].numpy()
    array([1, 2], dtype=int32)
    """
    count = max(1, round(share * batch["noise_sigma"].shape[0]))
    deepest = tf.argsort(batch["noise_sigma"])[:count]
    return {name: tf.gather(value, deepest) for name, value in batch.items()}
