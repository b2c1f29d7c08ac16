"""A fit on several devices or several machines, chosen by the key ``distribute`` of the recipe.

Every replica holds all weights and computes the gradient of its share of each batch.  Gradients are
averaged before they are clipped, so that the weights after an optimiser step equal those on one
device.  The exception is what is not a mean over galaxies, such as batch normalisation and the
comparison of samples by a discriminator: each replica evaluates these on its own share.
"""

__all__ = ["Distribution"]

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from galsim import GalSimConfigError

from ..recipe import Recipe
from .graphs import as_graph
from .phase import Batch, Phase


class Distribution:
    """The devices that share the batches of a fit.

    Make it before TensorFlow does anything else.

    Parameters:
        kind:       "none"; "mirrored": all GPUs of this machine, or all logical CPUs if it has no
                    GPU; or "multi_worker": the machines that the environment variable ``TF_CONFIG``
                    lists, each of which runs the same command.

    >>> Distribution().replicas
    1
    """

    def __init__(self, kind: str = "none") -> None:
        self.strategy: tf.distribute.Strategy | None = None
        if kind == "mirrored":
            devices = (tf.config.list_logical_devices("GPU")
                       or tf.config.list_logical_devices("CPU"))
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        elif kind == "multi_worker":
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()

    @property
    def replicas(self) -> int:
        """Number of equal shares that a batch is divided into."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def chief(self) -> bool:
        """Whether this process writes checkpoints and logs."""
        resolver = self.strategy and self.strategy.cluster_resolver
        if not resolver or not resolver.cluster_spec():
            return True
        first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
        return (resolver.task_type, resolver.task_id) == (first, 0)

    def scope(self) -> contextlib.AbstractContextManager:
        """The context in which variables must be made and phases must run."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def check(self, phase: Phase, recipe: Recipe) -> None:
        """Raise a `galsim.GalSimConfigError` if batches cannot be divided into equal shares, or
        the learning rate depends on evaluations, which only one of several processes makes."""
        if phase.settings.schedule == "plateau" and recipe.distribute == "multi_worker":
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.{phase.name}.schedule, is 'plateau', which is not "
                "possible with 'distribute: multi_worker'. Choose another schedule.")
        if phase.settings.batch_size % self.replicas:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.{phase.name}.batch_size, is "
                f"{phase.settings.batch_size}, which {self.replicas} devices cannot share evenly. "
                f"Set it to a multiple of {self.replicas}.")

    def stepper(self, phase: Phase) -> Callable[[Batch, tf.Tensor], dict[str, tf.Tensor]]:
        """A function of a whole batch and the index of the step, which makes one training step on
        all devices and returns a dict of scalars."""
        strategy = self.strategy
        if strategy is None:
            return as_graph(phase.step)

        @as_graph
        def run_step(batch, step):
            scalars = strategy.run(phase.step, args=(batch, step))
            return {name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
                    for name, value in scalars.items()}

        return lambda batch, step: run_step(self._shared(strategy, batch), step)

    def _shared(self, strategy: tf.distribute.Strategy, batch: Batch) -> Mapping[str, Any]:
        """The rows of a batch, divided among the replicas in order.

        Every machine reads whole batches and keeps its own rows, so that the rows depend only on
        the seed and the step.
        """
        def share(context: tf.distribute.experimental.ValueContext) -> dict[str, Any]:
            def rows(value: Any) -> Any:
                count = value.shape[0] // self.replicas
                first = context.replica_id_in_sync_group * count
                return value[first:first + count]

            return {name: rows(value) for name, value in batch.items()}

        return strategy.experimental_distribute_values_from_function(share)
