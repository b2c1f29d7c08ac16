"""What the encoder of an MPCC finds in real stamps."""

__all__ = ["encoded", "encoded_batch"]

import functools

import numpy as np
import tensorflow as tf

from ..graphs import as_graph


def encoded_batch(family, batch):
    """What `encoded` gives, of the stamps of one batch: a dict of tensors."""
    count = tf.shape(batch["stamp"])[0]
    given = family.given(batch, count)
    mean, scale = family.infer(
        family.look(batch["stamp"], batch["psf"], batch["noise_sigma"], batch), given)
    if family.settings.supervised:
        membership = family.one_hot(tf.cast(batch["label"], tf.int32))
    else:
        # As frequent as each other, as they are in the fit.
        shares = tf.zeros([1, family.settings.classes])
        membership = tf.exp(family.prior.log_membership(mean, shares, given))
    return dict(mean=mean, scale=scale, membership=membership,
                context=family.all_columns(batch, count))


def encoded(family, dataset, indices, seed):
    """Latents and classes of stamps.

    Parameters:
        family:     A `families.mpcc.MPCC`.
        dataset:    A `data.dataset.Dataset`.
        indices:    Which examples, [N].
        seed:       Turns and mirrors the stamps.

    Returns:
        a dict of float32 arrays: ``mean`` and ``scale`` [N, J] of the latents, ``membership``
        [N, K], the weights of the classes (where they are given, the label's alone), and
        ``context`` [N, C], the standardised columns.
    """
    encode = as_graph(functools.partial(encoded_batch, family))
    rng, found = np.random.default_rng([seed, 3]) if family.canvas.any_way_up else None, []
    for first in range(0, len(indices), 256):
        batch = encode(dataset.read(indices[first:first + 256], augment=rng))
        found.append({name: value.numpy() for name, value in batch.items()})
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}
