"""What every phase of a fit offers to the training loop."""

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

Batch = Mapping[str, Any]
"""Arrays or tensors by name, with one row for each example."""


class Phase(abc.ABC):
    """One phase of the training: batches, a step, and what is saved.

    Batches and steps are pure functions of the recipe's seed and the step number (besides the
    state saved in checkpoints), so that an interrupted fit ends where an uninterrupted one would.

    A model family makes its phases by ``phase_type(family, settings)``.

    Parameters:
        settings:   An instance of the class's ``Settings``: ``fit.NAME`` of the recipe.
        seed:       Decides batches and noise.

    >>> class Count(Phase):
    ...     name, total = "count", tf.Variable(0.0)
    ...     def batches(self, dataset, start): yield dict(value=np.ones(2, np.float32))
    ...     def step(self, batch, number):
    ...         return dict(total=self.total.assign_add(tf.reduce_sum(batch["value"])))
    ...     def state(self): return dict(total=self.total)
    >>> phase = Count(Count.Settings(steps=10), seed=1)
    >>> float(phase.step(next(phase.batches(None, start=0)), tf.constant(0))["total"])
    2.0
    """

    name: ClassVar[str]
    """Its key under ``fit`` in recipes."""
    Settings: ClassVar[type[PhaseSettings]] = PhaseSettings
    """The settings that this phase owns, besides those of the optimisation."""
    builds_on: ClassVar[tuple[str, ...] | None] = None
    """Names of the earlier phases whose results this one starts from; those that a recipe leaves
    out are passed over.  [default: None, all earlier ones]"""
    uses: ClassVar[tuple[str, ...]] = ("model",)
    """Keys of the recipe with the settings of the networks that this phase depends on, such as
    ``"model.autoencoder"``.  [default: the whole model]"""
    format: ClassVar[int] = 1
    """Raise it when a change of the code gives the same settings another meaning: checkpoints that
    were made before are then no longer used."""

    reads_images: ClassVar[bool] = True
    """Whether it computes with images of the galaxies of a batch, such as stamps; the size of its
    batches is then limited, see `fitting.memory`."""

    def __init__(self, settings: Any, seed: int) -> None:
        self.settings = settings
        self.seed = seed

    @classmethod  # noqa: B027 - the settings of most phases go together
    def check_settings(cls, fit: Mapping[str, Any], recipe: Recipe) -> None:
        """Raise a `galsim.GalSimConfigError` where settings do not go together.

        Called before any network is built.

        Parameters:
            fit:        The settings of all phases that the recipe has, by name.
            recipe:     The `Recipe`.
        """

    @abc.abstractmethod
    def batches(self, dataset: Dataset, start: int) -> Iterator[dict[str, np.ndarray]]:
        """Yield the training batches from step ``start`` on: dicts of float32 arrays."""

    @abc.abstractmethod
    def step(self, batch: Batch, number: tf.Tensor) -> dict[str, tf.Tensor]:
        """One training step (called inside a graph, see `as_graph`): a dict of scalars to log."""

    @abc.abstractmethod
    def state(self) -> dict[str, Any]:
        """A dict of trackable objects for the checkpoint: all that the fitted model takes from
        this phase, including what is learned of the data set before the first step."""

    def normal(self, number: tf.Tensor, count: Any, size: int, stream: int = 0) -> tf.Tensor:
        """Standard normal numbers for the examples of step ``number``: [count, size].

        They depend on the seed, the step and an example's place in the whole batch, not on how many
        devices share it: draw the noise of a loss here.  A step that draws several times does so
        from several ``stream``s.
        """
        replica = tf.distribute.get_replica_context()
        seed = tf.stack([self.seed, tf.cast(number, tf.int32)])
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

    def fault(self, number: int, scalars: Mapping[str, float]) -> str | None:
        """What is wrong with the fit after so many steps, a sentence; None if nothing is.

        Parameters:
            number:     Steps that have been made.
            scalars:    Those of `evaluate`, as numbers.
        """
        return None

    def finish(self, dataset: Dataset) -> None:  # noqa: B027 - most have nothing to do
        """Called once after the last step, before the last checkpoint is saved."""


class GradientPhase(Phase):
    """A phase that minimises one loss, with the optimiser that the recipe sets.

    The weights that are kept are an exponential moving average.

    Parameters:
        settings:       As for `Phase`.
        seed:           Decides batches and noise.
        networks:       Networks and layers that are saved, by name.
        variables:      The variables that are fitted.
        float16:        Whether the loss comes from layers that compute in float16.  [default:
                        whether the networks do]

    >>> class Parabola(GradientPhase):
    ...     name = "parabola"
    ...     def batches(self, dataset, start): yield {}
    ...     def loss(self, batch, number): return self.variables[0].value**2, {}
    >>> x, settings = keras.Variable(3.0), PhaseSettings(steps=10, schedule="constant", warm_up=0)
    >>> phase = Parabola(settings, seed=1, networks={}, variables=[x])
    >>> float(phase.step({}, tf.constant(0))["loss"]), bool(x.value < 3.0)
    (9.0, True)
    """

    def __init__(self, settings: Any, seed: int, networks: Mapping[str, keras.layers.Layer],
                 variables: list[keras.Variable], float16: bool | None = None) -> None:
        super().__init__(settings, seed)
        self.networks = dict(networks)
        self.variables = variables
        if float16 is None:
            float16 = uses_float16(networks)
        self.optimiser_step = OptimiserStep(
            variables, make_optimizer(settings), settings.clip, float16)

    @abc.abstractmethod
    def loss(self, batch: Batch, number: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss on a batch and a dict of scalars to log: (scalar, dict)."""

    def step(self, batch: Batch, number: tf.Tensor) -> dict[str, tf.Tensor]:
        loss, scalars, norm = self.optimiser_step.step(lambda: self.loss(batch, number))
        return dict(scalars, loss=loss, gradient_norm=norm)

    def state(self) -> dict[str, Any]:
        return dict(self.networks, **self.optimiser_step.state())

    def finish(self, dataset: Dataset) -> None:
        self.optimiser_step.optimizer.finalize_variable_values(self.variables)


def uses_float16(networks: Mapping[str, keras.layers.Layer]) -> bool:
    """Whether layers of some networks compute in float16."""
    return any(getattr(layer, "compute_dtype", None) == "float16"
               for network in networks.values()
               for layer in getattr(network, "_flatten_layers", tuple)())
