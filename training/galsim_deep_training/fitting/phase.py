"""The base classes of the phases of a fit."""

__all__ = ["Batch", "GradientPhase", "Phase", "uses_float16"]

import abc
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from ..data.dataset import Dataset
from ..recipe import PhaseSettings, Recipe
from .optimiser_step import OptimiserStep
from .optimisers import make_optimizer
from .plateau import Plateau

Batch = Mapping[str, Any]
"""Arrays or tensors by name, with one row for each example."""


class Phase(abc.ABC):
    """One phase of the training: batches, a step, and what is saved.

    Batches and steps are pure functions of the recipe's seed and the index of the step (besides
    the state saved in checkpoints), so that an interrupted fit ends with the same weights as an
    uninterrupted one.

    A model family makes its phases by ``phase_type(family, settings)``.

    Parameters:
        settings:   An instance of the class's ``Settings``: ``fit.NAME`` of the recipe.
        seed:       Determines batches and noise.

    >>> class Count(Phase):
    ...     name, total = "count", tf.Variable(0.0)
    ...     def batches(self, dataset, start):
    ...         while True:
    ...             yield dict(value=np.ones(2, np.float32))
    ...     def step(self, batch, number):
    ...         return dict(loss=self.total.assign_add(tf.reduce_sum(batch["value"])))
    ...     def state(self): return dict(total=self.total)
    >>> phase = Count(Count.Settings(steps=10), seed=1)
    >>> float(phase.step(next(phase.batches(None, start=0)), tf.constant(0))["loss"])
    2.0
    """

    name: ClassVar[str]
    """Its key under ``fit`` in recipes."""
    Settings: ClassVar[type[PhaseSettings]] = PhaseSettings
    """The settings that this phase owns, besides those of the optimisation."""
    builds_on: ClassVar[tuple[str, ...] | None] = None
    """Names of the earlier phases whose results this one starts from; those that are not in the
    recipe are ignored.  [default: None, all earlier ones]"""
    uses: ClassVar[tuple[str, ...]] = ("model",)
    """Keys of the recipe with the settings of the networks that this phase depends on, such as
    ``"model.autoencoder"``.  [default: the whole model]"""
    format: ClassVar[int] = 1
    """Version of this phase.  Increase it if a change of the code makes the same settings produce
    other results, so that earlier checkpoints are not used any more."""

    reads_images: ClassVar[bool] = True
    """Whether it computes with images of the galaxies of a batch, such as stamps; the size of its
    batches is then limited, see `fitting.memory`."""

    def __init__(self, settings: Any, seed: int) -> None:
        self.settings = settings
        self.seed = seed

    @classmethod
    def rows(cls, settings: Any) -> int:
        """The number of examples in each of the `batches`, for settings of this phase."""
        return settings.batch_size

    @classmethod  # noqa: B027 - most phases have nothing to check
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        """Raise a `galsim.GalSimConfigError` if settings contradict each other.

        Called before any network is built.

        Parameters:
            fit:        The settings of all phases that the recipe has, by name.
            recipe:     The `Recipe`.
        """

    @abc.abstractmethod
    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield the training batches from step ``start`` on, without end: dicts of float32 arrays.
        """

    @abc.abstractmethod
    def step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Make one training step, inside a graph (`as_graph`).

        Parameters:
            batch:      A batch, as `batches` yields it.
            step:       Index of the step, from 0.

        Returns:
            a dict of scalars to log.  One of them is ``loss``: a fit is stopped when it is no
            longer finite.
        """

    @abc.abstractmethod
    def state(self) -> dict[str, Any]:
        """A dict of networks, layers, optimisers and variables for the checkpoint: everything that
        the fitted model takes from this phase, including properties of the data set that are
        measured before the first step."""

    def normal(self, step: tf.Tensor, count: Any, size: int, stream: int = 0) -> tf.Tensor:
        """Standard normal numbers for the examples of a step, [count, size].

        They depend on the seed, the step and the row of an example in the whole batch, but not on
        the number of devices.  The noise of a loss should therefore be drawn with this method.

        Parameters:
            step:       Index of the step, a tensor.
            count:      Number of examples on this device.
            size:       Number of normal numbers for each example.
            stream:     Differs between the draws of one step, which are then independent.
        """
        replica = tf.distribute.get_replica_context()
        seed = tf.stack([self.seed, tf.cast(step, tf.int32)])
        if stream:
            seed = tf.random.experimental.stateless_fold_in(seed, stream)
        if replica is None:  # outside of a step: the whole batch
            return tf.random.stateless_normal([count, size], seed=seed)
        everyone = tf.random.stateless_normal(
            [count * replica.num_replicas_in_sync, size], seed=seed)
        first = count * replica.replica_id_in_sync_group
        return everyone[first:first + count]

    def evaluate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Scalars on a test batch, without training (inside a graph); may be empty."""
        return {}

    def evaluated(self, scalars: Mapping[str, float]) -> None:  # noqa: B027 - most need nothing
        """Called with the scalars of each `evaluate`, as numbers, before the next step."""

    def fault(self, steps_done: int, scalars: Mapping[str, float]) -> str | None:
        """Describe in a sentence why the fit must be stopped; None if it can continue.

        Parameters:
            steps_done: Number of steps that have been made.
            scalars:    The scalars of `evaluate`, as numbers.
        """
        return None

    def finish(self, dataset: Dataset) -> None:  # noqa: B027 - most have nothing to do
        """Called once after the last step, before the last checkpoint is saved."""


class GradientPhase(Phase):
    """A phase that minimises one loss, with the optimiser that the recipe sets.

    The weights that are kept are an exponential moving average.

    Parameters:
        settings:       As for `Phase`.
        seed:           Determines batches and noise.
        networks:       Networks and layers that are saved, by name.
        variables:      The variables that are fitted.  [default: all trainable ones of the
                        networks]
        float16:        Whether the loss comes from layers that compute in float16.  [default:
                        whether the networks do]

    >>> import itertools
    >>> class Parabola(GradientPhase):
    ...     name = "parabola"
    ...     def batches(self, dataset, start): return itertools.repeat({})
    ...     def loss(self, batch, number): return self.variables[0].value**2, {}
    >>> x, settings = keras.Variable(3.0), PhaseSettings(steps=10, schedule="constant", warm_up=0)
    >>> phase = Parabola(settings, seed=1, networks={}, variables=[x])
    >>> float(phase.step({}, tf.constant(0))["loss"]), bool(x.value < 3.0)
    (9.0, True)
    """

    def __init__(self, settings: Any, seed: int, networks: Mapping[str, keras.layers.Layer],
                 variables: list[keras.Variable] | None = None,
                 float16: bool | None = None) -> None:
        super().__init__(settings, seed)
        self.networks = dict(networks)
        if variables is None:
            variables = [variable for network in networks.values()
                         for variable in network.trainable_variables]
        self.variables = variables
        if float16 is None:
            float16 = uses_float16(networks)
        self.plateau = (Plateau(settings.patience, settings.factor)
                        if settings.schedule == "plateau" else None)
        self.optimiser_step = OptimiserStep(
            variables, make_optimizer(settings, plateau=self.plateau), settings.clip, float16)

    @abc.abstractmethod
    def loss(self, batch: Batch, step: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss on a batch and a dict of scalars to log: (scalar, dict)."""

    def step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        loss, scalars, norm = self.optimiser_step.step(lambda: self.loss(batch, step))
        return dict(scalars, loss=loss, gradient_norm=norm)

    def evaluated(self, scalars: Mapping[str, float]) -> None:
        if self.plateau is not None and "loss" in scalars:
            self.plateau.observe(scalars["loss"])

    def state(self) -> dict[str, Any]:
        plateau = {} if self.plateau is None else dict(plateau=self.plateau)
        return dict(self.networks, **self.optimiser_step.state(), **plateau)

    def finish(self, dataset: Dataset) -> None:
        self.optimiser_step.optimizer.finalize_variable_values(self.variables)


def uses_float16(networks: Mapping[str, keras.layers.Layer]) -> bool:
    """Whether layers of some networks compute in float16."""
    return any(getattr(layer, "compute_dtype", None) == "float16"
               for network in networks.values()
               for layer in getattr(network, "_flatten_layers", tuple)())
