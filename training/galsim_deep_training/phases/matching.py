"""The phase that makes what is sampled look like what was observed."""

__all__ = ["Matching"]

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError, GalSimError

from ..energy_distance import energy_distance
from ..graphs import as_graph
from ..physics.appearance import NAMES, appearance
from .base import uses_float16
from .latent_flow import LatentFlow

REFERENCE = 8192
"""Of how many training stamps the appearance is taken before the first step."""


class Matching(LatentFlow):
    """Go on with the flows, so that galaxies that they sample are distributed as the observed ones.

    Flows of thousands of latents that were learned from some hundred galaxies are right about each
    latent, but errors that are small in each add up: images come out a little smoother, rounder or
    longer.  Here the same is asked of the images.  For the columns of training stamps galaxies are
    sampled, and for the stamps themselves the posterior is; of both the appearance is measured
    (`physics.appearance`), and the energy distance between the two is minimised, over all numbers
    at once and over each with the columns.  The likelihood of the latents stays in the loss, per
    number: it keeps what has no name here.
    """

    name = "matching"

    def __init__(self, family, fit):
        if not hasattr(family.autoencoder.settings, "size_column"):
            raise GalSimConfigError(
                f"The recipe {family.recipe.path}, fit, has a phase 'matching', which measures "
                f"galaxies in units of their size; the autoencoder '{family.autoencoder.name}' "
                "knows none. Leave the phase out.")
        if fit.batch_size < 8:
            raise GalSimConfigError(
                f"The recipe {family.recipe.path}, fit.matching, has a batch_size of "
                f"{fit.batch_size}: too few to compare two samples. Take 8 or more.")
        # The gradient comes through the decoder, which may compute in float16 where flows do not.
        super().__init__(family, fit, float16=uses_float16(family.networks))
        terms = 1 + 2 * len(family.recipe.columns)
        self.trend, self.scatter = (
            tf.Variable(tf.zeros(shape), trainable=False, name=name)
            for name, shape in (("trend", [terms, len(NAMES)]), ("scatter", [len(NAMES)])))

    def batches(self, dataset, start):
        latents = self.latents(dataset)
        known = self._reference(latents)
        number = start
        while True:
            rng = np.random.default_rng([self.seed, 7, number])
            batch = self.draw(latents, rng)
            rows = rng.integers(len(known["known/features"]), size=self.fit.batch_size)
            yield dict(batch, **{name: values[rows] for name, values in known.items()})
            number += 1

    def _reference(self, latents):
        """Appearance of posterior samples; what it does with the columns is taken out."""
        @as_graph
        def measure(turn, shape, columns):
            profiles = self.family.autoencoder.generate(turn, shape, columns)
            return appearance(profiles, columns[self._size_column])

        rng = np.random.default_rng([self.seed, 8])
        count = len(latents["mean"])
        rows = rng.permutation(count)[:REFERENCE]
        found = []
        for first in range(0, len(rows), 128):
            part = rows[first:first + 128]
            turn = rng.standard_normal(
                (len(part), self.family.autoencoder.turn_size), np.float32)
            noise = rng.standard_normal((len(part), latents["mean"].shape[1]), np.float32)
            shape = latents["mean"][part] + latents["scale"][part] * noise
            found.append(measure(turn, shape, self._columns(latents, part)).numpy())
        features, context = np.concatenate(found), latents["context"][rows]
        terms = _terms(context).numpy()
        if len(terms) < 2 * terms.shape[1]:
            raise GalSimError(f"The phase 'matching' learns what is usual from {len(terms)} "
                              f"training stamps; it needs {2 * terms.shape[1]} or more.")
        trend = np.linalg.lstsq(terms, features, rcond=None)[0]
        self.trend.assign(trend)
        # In units of nothing, what is alike in all would be infinitely far apart.
        self.scatter.assign(np.maximum(np.std(features - terms @ trend, axis=0), 1e-3))
        found = {"known/features": self._standardised(features, context).numpy(),
                 "known/context": context}
        return found | {f"column/{name}": values
                        for name, values in self._columns(latents, rows).items()}

    def _columns(self, latents, rows):
        return {name: values[rows] for name, values in latents["columns"].items()}

    @property
    def _size_column(self):
        return self.family.autoencoder.settings.size_column

    def _standardised(self, features, context):
        return (features - tf.matmul(_terms(context), self.trend)) / self.scatter

    def loss(self, batch, number):
        surprise, _ = super().loss(batch, number)
        known, context = batch["known/features"], batch["known/context"]
        columns = {name.removeprefix("column/"): value for name, value in batch.items()
                   if name.startswith("column/")}
        count = tf.shape(context)[0]
        turn_size, shape_size = self.family.autoencoder.turn_size, sum(self.family.prior.sizes)
        turn, normal = tf.split(
            self.normal(number, count, turn_size + shape_size), [turn_size, shape_size], axis=-1)
        shape = self.family.prior(normal, context)
        profiles = self.family.autoencoder.generate(turn, shape, columns)
        made = self._standardised(appearance(profiles, columns[self._size_column]), context)
        # Samples are compared as a whole, however many devices share them.
        distance = self._distance(*map(_of_all_devices, (made, known, context)))
        return distance + surprise / shape_size, dict(distance=distance, surprise=surprise)

    def _distance(self, made, known, context):
        together = energy_distance(tf.concat([made, context], -1), tf.concat([known, context], -1))
        one_by_one = [
            energy_distance(tf.concat([one, context], -1), tf.concat([other, context], -1))
            for one, other in zip(tf.split(made, len(NAMES), -1), tf.split(known, len(NAMES), -1),
                                  strict=True)]
        return together + tf.add_n(one_by_one) / len(one_by_one)


def _of_all_devices(share):
    """The shares of a batch that the devices have, one below the other."""
    replica = tf.distribute.get_replica_context()
    count = replica.num_replicas_in_sync
    if count == 1:
        return share
    # Not all_gather, which TensorFlow 2.21 refuses between several machines of one device each.
    place = tf.one_hot(replica.replica_id_in_sync_group, count)[:, None, None]
    shares = replica.all_reduce(tf.distribute.ReduceOp.SUM, place * share)
    return tf.reshape(shares, [-1, share.shape[-1]])


def _terms(context):
    """One, the columns and their squares: [N, 1 + 2 C]."""
    return tf.concat([tf.ones_like(context[:, :1]), context, tf.square(context)], axis=-1)
