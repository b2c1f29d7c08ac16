"""Latents and classes that the encoder of an MPCC infers from observed stamps."""

__all__ = ["encoded", "encoded_batch"]

import functools
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from ...data.dataset import Dataset
from ...fitting.graphs import as_graph
from .model import MPCCModel


def encoded_batch(family: MPCCModel, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Encode the stamps of one batch; returns the same dict as `encoded`, of tensors."""
    count = tf.shape(batch["stamp"])[0]
    conditions = family.network_conditions(batch, count)
    views = family.view(batch["stamp"], batch["psf"], batch["noise_sigma"], batch)
    mean, scale = family.encode_views(views, conditions)
    if family.settings.classes.supervised:
        probability = family.one_hot(tf.cast(batch["label"], tf.int32))
    else:
        # All classes are equally frequent in the fit.
        log_weights = tf.zeros([1, family.settings.classes.number])
        probability = tf.exp(family.prior.log_class_probability(mean, log_weights, conditions))
    return dict(mean=mean, scale=scale, class_probability=probability,
                conditions=family.all_conditions(batch, count))


def encoded(family: MPCCModel, dataset: Dataset, indices: np.ndarray,
            seed: int) -> dict[str, np.ndarray]:
    """Encode stamps of a data set.

    Parameters:
        family:     The model.
        dataset:    The data set.
        indices:    Indices of the examples, [N].
        seed:       Determines how the stamps are rotated and mirrored, if the canvas allows that.

    Returns:
        a dict of float32 arrays: ``mean`` and ``scale`` of the latents, [N, J] each;
        ``class_probability`` [N, K], for labels one-hot; and ``conditions``, the standardised
        columns, [N, C].
    """
    encode = as_graph(functools.partial(encoded_batch, family))
    augment = np.random.default_rng([seed, 3]) if family.canvas.may_be_rotated else None
    parts = []
    for first in range(0, len(indices), 256):
        batch = encode(dataset.read(indices[first:first + 256], augment=augment))
        parts.append({name: value.numpy() for name, value in batch.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
