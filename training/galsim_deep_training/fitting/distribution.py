"""One fit on several devices or several machines, by one key of the recipe.

Every replica holds all weights and works on its share of each batch; gradients are averaged before
they are clipped, so that the weights after a step are those that one device would arrive at.  Where
a fit normalises by batches or compares what is in them (``mpcc``), each replica does so by its own
share.
"""

__all__ = ["Distribution"]

import contextlib

import tensorflow as tf
from galsim import GalSimConfigError

from .graphs import as_graph


class Distribution:
    """How the steps of a fit are shared.

    Parameters:
        kind:       "none"; "mirrored": all GPUs of this machine, or all logical CPUs where there
                    is none; or "multi_worker": the machines that the environment variable
                    ``TF_CONFIG`` lists, each running the same command.  To be made before
                    TensorFlow does anything else.
    """

    def __init__(self, kind="none"):
        self.strategy = None
        if kind == "mirrored":
            devices = (tf.config.list_logical_devices("GPU")
                       or tf.config.list_logical_devices("CPU"))
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        elif kind == "multi_worker":
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()

    @property
    def replicas(self):
        """How many shares a batch is cut into."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def chief(self):
        """Whether this process writes checkpoints and logs."""
        resolver = self.strategy and self.strategy.cluster_resolver
        if not resolver or not resolver.cluster_spec():
            return True
        first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
        return (resolver.task_type, resolver.task_id) == (first, 0)

    def scope(self):
        """Where variables are to be made and phases to be run."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def check(self, phase, recipe):
        """Raise a `galsim.GalSimConfigError` where batches cannot be cut into equal shares."""
        if phase.settings.batch_size % self.replicas:
            raise GalSimConfigError(
                f"The recipe {recipe.path}, fit.{phase.name}.batch_size, asks for batches of "
                f"{phase.settings.batch_size}, which {self.replicas} devices cannot share evenly. "
                f"Take a multiple of {self.replicas}.")

    def stepper(self, phase):
        """The training step: a function of a whole batch and its number to a dict of scalars."""
        if self.strategy is None:
            return as_graph(phase.step)

        @as_graph
        def step(batch, number):
            scalars = self.strategy.run(phase.step, args=(batch, number))
            return {name: self.strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
                    for name, value in scalars.items()}

        return lambda batch, number: step(self._shared(batch), number)

    def _shared(self, batch):
        """Rows of a batch dealt to the replicas in order.

        Every machine reads whole batches and keeps its rows: which rows they are then depends on
        the seed and the step alone.
        """
        def share(context):
            def rows(value):
                count = value.shape[0] // self.replicas
                first = context.replica_id_in_sync_group * count
                return value[first:first + count]

            return {name: rows(value) for name, value in batch.items()}

        return self.strategy.experimental_distribute_values_from_function(share)
