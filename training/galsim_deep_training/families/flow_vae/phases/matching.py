"""The phase that matches the distribution of sampled light profiles to that of observed ones."""

__all__ = ["Matching"]

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError, GalSimError

from ....data.dataset import Dataset
from ....fitting.graphs import as_graph
from ....fitting.phase import Batch, uses_float16
from ....recipe import PhaseSettings, Recipe
from ...base import Columns
from ..appearance import NAMES, appearance
from ..energy_distance import energy_distance
from ..model import FlowVAEModel
from .latent_flow import LatentFlow

REFERENCE_SIZE = 8192
"""Maximum number of training stamps whose statistics are measured before the first step."""


class Matching(LatentFlow):
    """Continue to fit the flows, now by comparing summary statistics of light profiles.

    A flow of thousands of latents that was fitted on some hundred galaxies models each latent well,
    but small errors in each add up: the profiles are a little too smooth, round or elongated.  This
    phase compares sampled and reconstructed profiles: it samples profiles for the columns of
    training stamps, and draws other profiles from the posterior of the training stamps.  It
    measures the summary statistics of both (`appearance`), and minimises the energy distance
    between the two samples: once for all statistics together, and on average for each single
    statistic, each time with the columns as additional dimensions.  The negative log-likelihood per
    latent remains a term of the loss, so that properties which no statistic measures do not drift.

    >>> Matching.name, Matching.builds_on
    ('matching', ('flow',))
    >>> from galsim_deep_training.recipe import read_recipe
    >>> recipe = read_recipe("training/recipes/acs_flow_vae.yaml")
    >>> Matching.check_settings(dict(matching=PhaseSettings(steps=10, batch_size=4)), recipe)
    Traceback (most recent call last):
    galsim.errors.GalSimConfigError: The recipe ...fit.matching.batch_size, is 4: too few to \
compare two samples. Take 8 or more.
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

    def __init__(self, family: FlowVAEModel, settings: Any) -> None:
        # The gradient passes the decoder, which may compute in float16 although flows do not.
        super().__init__(family, settings, float16=uses_float16(family.networks))
        # The mean of each statistic as a polynomial of the columns, and the scatter about it.
        terms = 1 + 2 * len(family.recipe.columns)
        self.trend, self.scatter = (
            tf.Variable(tf.zeros(shape), trainable=False, name=name)
            for name, shape in (("trend", [terms, len(NAMES)]), ("scatter", [len(NAMES)])))

    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        latents = self.latents(dataset)
        reference = self._reference(latents)
        step = start
        while True:
            rng = np.random.default_rng([self.seed, 7, step])
            batch = self.draw(latents, rng)
            rows = rng.integers(
                len(reference["reference/statistics"]), size=self.settings.batch_size)
            yield dict(batch, **{name: values[rows] for name, values in reference.items()})
            step += 1

    def _reference(self, latents: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Standardised statistics of profiles from the posterior of training stamps.

        Also sets ``trend`` and ``scatter``, which standardise the statistics.
        """
        @as_graph
        def measure(position_angle_latents, shape, columns):
            profiles = self.family.autoencoder.generate(position_angle_latents, shape, columns)
            return appearance(profiles, self._size(columns))

        rng = np.random.default_rng([self.seed, 8])
        count = len(latents["mean"])
        rows = rng.permutation(count)[:REFERENCE_SIZE]
        measured = []
        for first in range(0, len(rows), 128):
            part = rows[first:first + 128]
            position_angle_latents = rng.standard_normal(
                (len(part), self.family.autoencoder.position_angle_size), np.float32)
            noise = rng.standard_normal((len(part), latents["mean"].shape[1]), np.float32)
            shape = latents["mean"][part] + latents["scale"][part] * noise
            measured.append(measure(
                position_angle_latents, shape, self._columns(latents, part)).numpy())
        statistics, conditions = np.concatenate(measured), latents["conditions"][rows]
        terms = _terms(conditions).numpy()
        if len(terms) < 2 * terms.shape[1]:
            raise GalSimError(
                f"The phase 'matching' has {len(terms)} training stamps to fit the trend of each "
                f"statistic with the columns; it needs {2 * terms.shape[1]} or more. Increase "
                "fit.flow.deepest_share, or use a larger data set.")
        trend = np.linalg.lstsq(terms, statistics, rcond=None)[0]
        self.trend.assign(trend)
        # The minimum keeps statistics finite that are the same for all galaxies.
        self.scatter.assign(np.maximum(np.std(statistics - terms @ trend, axis=0), 1e-3))
        reference = {"reference/statistics": self._standardised(statistics, conditions).numpy(),
                     "reference/conditions": conditions}
        return reference | {f"column/{name}": values
                            for name, values in self._columns(latents, rows).items()}

    def _columns(self, latents: Mapping[str, Any], rows: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values[rows] for name, values in latents["columns"].items()}

    def _size(self, columns: Columns) -> tf.Tensor:
        """Half-light radii according to the columns [pixels], [N]."""
        return self.family.recipe.half_light_radius(columns)

    def _standardised(self, statistics: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Statistics less their trend with the columns, over the scatter about it, [N, 17]."""
        return (statistics - tf.matmul(_terms(conditions), self.trend)) / self.scatter

    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        negative_log_likelihood, _ = super().loss(batch, step)
        reference, conditions = batch["reference/statistics"], batch["reference/conditions"]
        columns = {name.removeprefix("column/"): value for name, value in batch.items()
                   if name.startswith("column/")}
        count = tf.shape(conditions)[0]
        position_angle_size = self.family.autoencoder.position_angle_size
        shape_size = sum(self.family.prior.sizes)
        position_angle_latents, normal = tf.split(
            self.normal(step, count, position_angle_size + shape_size),
            [position_angle_size, shape_size], axis=-1)
        shape = self.family.prior(normal, conditions)
        profiles = self.family.autoencoder.generate(position_angle_latents, shape, columns)
        sampled = self._standardised(appearance(profiles, self._size(columns)), conditions)
        # The distance is between the samples of all devices, not within the part of each.
        distance = self._distance(*map(_of_all_devices, (sampled, reference, conditions)))
        return distance + negative_log_likelihood / shape_size, dict(
            distance=distance, negative_log_likelihood=negative_log_likelihood)

    def _distance(self, sampled: tf.Tensor, reference: tf.Tensor,
                  conditions: tf.Tensor) -> tf.Tensor:
        """Energy distance of all statistics together, plus the mean of the single ones."""
        def with_columns(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
            return energy_distance(
                tf.concat([x, conditions], -1), tf.concat([y, conditions], -1))

        separate = [with_columns(x, y) for x, y in zip(
            tf.split(sampled, len(NAMES), -1), tf.split(reference, len(NAMES), -1), strict=True)]
        return with_columns(sampled, reference) + tf.add_n(separate) / len(separate)


def _of_all_devices(rows: tf.Tensor) -> tf.Tensor:
    """The rows that each device holds of a tensor, one device after the other, [N, D]."""
    replica = tf.distribute.get_replica_context()
    count = replica.num_replicas_in_sync
    if count == 1:
        return rows
    # Not all_gather, which TensorFlow 2.21 refuses between several machines of one device each.
    is_own_device = tf.one_hot(replica.replica_id_in_sync_group, count)[:, None, None]
    all_rows = replica.all_reduce(tf.distribute.ReduceOp.SUM, is_own_device * rows)
    return tf.reshape(all_rows, [-1, rows.shape[-1]])


def _terms(conditions: tf.Tensor) -> tf.Tensor:
    """A constant, the columns and their squares: [N, 1 + 2 C]."""
    return tf.concat([tf.ones_like(conditions[:, :1]), conditions, tf.square(conditions)], axis=-1)
