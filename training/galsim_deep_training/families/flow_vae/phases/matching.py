"""The phase that makes what is sampled look like what was observed."""

__all__ = ["Matching"]

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError, GalSimError

from ....fitting.graphs import as_graph
from ....fitting.phase import uses_float16
from ....recipe import PhaseSettings, Recipe
from ..appearance import NAMES, appearance
from ..energy_distance import energy_distance
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
    Settings = PhaseSettings
    builds_on: ClassVar[tuple[str, ...]] = ("flow",)

    @classmethod
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        recipe.required_column("half_light_radius", "the phase 'matching'")
        batch_size = fit[cls.name].batch_size
        if batch_size < 8:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.matching.batch_size, is {batch_size}: too few to "
                "compare two samples. Take 8 or more.")

    def __init__(self, family: Any, settings: Any) -> None:
        # The gradient comes through the decoder, which may compute in float16 where flows do not.
        super().__init__(family, settings, float16=uses_float16(family.networks))
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
            rows = rng.integers(len(known["known/features"]), size=self.settings.batch_size)
            yield dict(batch, **{name: values[rows] for name, values in known.items()})
            number += 1

    def _reference(self, latents):
        """Appearance of posterior samples; what it does with the columns is taken out."""
        @as_graph
        def measure(turn, shape, columns):
            profiles = self.family.autoencoder.generate(turn, shape, columns)
            return appearance(profiles, self._size(columns))

        rng = np.random.default_rng([self.seed, 8])
        count = len(latents["mean"])
        rows = rng.permutation(count)[:REFERENCE]
        found = []
        for first in range(0, len(rows), 128):
            part = rows[first:first + 128]
            turn = rng.standard_normal(
                (len(part), self.family.autoencoder.position_angle_size), np.float32)
            noise = rng.standard_normal((len(part), latents["mean"].shape[1]), np.float32)
            shape = latents["mean"][part] + latents["scale"][part] * noise
            found.append(measure(turn, shape, self._columns(latents, part)).numpy())
        features, conditions = np.concatenate(found), latents["conditions"][rows]
        terms = _terms(conditions).numpy()
        if len(terms) < 2 * terms.shape[1]:
            raise GalSimError(f"The phase 'matching' learns what is usual from {len(terms)} "
                              f"training stamps; it needs {2 * terms.shape[1]} or more.")
        trend = np.linalg.lstsq(terms, features, rcond=None)[0]
        self.trend.assign(trend)
        # In units of nothing, what is alike in all would be infinitely far apart.
        self.scatter.assign(np.maximum(np.std(features - terms @ trend, axis=0), 1e-3))
        found = {"known/features": self._standardised(features, conditions).numpy(),
                 "known/conditions": conditions}
        return found | {f"column/{name}": values
                        for name, values in self._columns(latents, rows).items()}

    def _columns(self, latents, rows):
        return {name: values[rows] for name, values in latents["columns"].items()}

    def _size(self, columns):
        return self.family.recipe.half_light_radius(columns)

    def _standardised(self, features, conditions):
        return (features - tf.matmul(_terms(conditions), self.trend)) / self.scatter

    def loss(self, batch, number):
        negative_log_likelihood, _ = super().loss(batch, number)
        known, conditions = batch["known/features"], batch["known/conditions"]
        columns = {name.removeprefix("column/"): value for name, value in batch.items()
                   if name.startswith("column/")}
        count = tf.shape(conditions)[0]
        position_angle_size = self.family.autoencoder.position_angle_size
        shape_size = sum(self.family.prior.sizes)
        turn, normal = tf.split(
            self.normal(number, count, position_angle_size + shape_size),
            [position_angle_size, shape_size], axis=-1)
        shape = self.family.prior(normal, conditions)
        profiles = self.family.autoencoder.generate(turn, shape, columns)
        made = self._standardised(appearance(profiles, self._size(columns)), conditions)
        # Samples are compared as a whole, however many devices share them.
        distance = self._distance(*map(_of_all_devices, (made, known, conditions)))
        return distance + negative_log_likelihood / shape_size, dict(
            distance=distance, negative_log_likelihood=negative_log_likelihood)

    def _distance(self, made, known, conditions):
        together = energy_distance(
            tf.concat([made, conditions], -1), tf.concat([known, conditions], -1))
        one_by_one = [
            energy_distance(tf.concat([one, conditions], -1), tf.concat([other, conditions], -1))
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


def _terms(conditions):
    """One, the columns and their squares: [N, 1 + 2 C]."""
    return tf.concat([tf.ones_like(conditions[:, :1]), conditions, tf.square(conditions)], axis=-1)
