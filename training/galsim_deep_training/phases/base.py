"""What every phase of a fit offers to the training loop."""

__all__ = ["GradientPhase", "Phase", "uses_float16"]

import abc

import tensorflow as tf

from ..optimisation import make_optimizer
from ..precision import LossScale


class Phase(abc.ABC):
    """One phase of the training: batches, a step, and what is saved.

    Batches and steps are pure functions of the recipe's seed and the step number (besides the
    state saved in checkpoints), so that an interrupted fit ends where an uninterrupted one would.
    """

    name = None
    depends_on = None
    """What of a recipe decides where this phase arrives: a tuple of keys, dotted where they lie
    deeper.  None stands for the data, the family, ``model``, and ``fit`` of this phase and of all
    before it.  Checkpoints are kept by the hash of these parts."""
    independent_of = ()
    """Keys within ``depends_on`` that have no say here, such as ``"model.flow"`` in a phase that
    does not touch the flow: the phase is then not run again when they change."""

    def __init__(self, fit, seed):
        self.fit = fit
        self.seed = seed

    @abc.abstractmethod
    def batches(self, dataset, start):
        """Yield the training batches from step ``start`` on: dicts of float32 arrays."""

    @abc.abstractmethod
    def step(self, batch, number):
        """One training step (called inside a `tf.function`): a dict of scalars to log."""

    @abc.abstractmethod
    def state(self):
        """A dict of trackable objects for the checkpoint."""

    def evaluate(self, batch):
        """Scalars on a test batch, without training (inside a `tf.function`); may be empty."""
        return {}

    def finish(self):  # noqa: B027 - a phase may have nothing to finish
        """Called once after the last step."""


class GradientPhase(Phase):
    """A phase that minimises one loss, with the optimiser that the recipe asks for.

    Gradients are clipped at a multiple of their running typical norm (single bright galaxies raise
    the norm a hundredfold); the weights that are kept are an exponential moving average.
    """

    def __init__(self, fit, seed, networks, variables):
        super().__init__(fit, seed)
        self.networks = networks
        self.variables = variables
        self.optimizer = make_optimizer(fit)
        self.optimizer.build(variables)
        self.loss_scale = LossScale(uses_float16(networks))
        self.typical_norm = tf.Variable(
            0.0, trainable=False, name="typical_norm",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    @abc.abstractmethod
    def loss(self, batch, number):
        """The loss on a batch and a dict of scalars to log: (scalar, dict)."""

    def normal(self, number, count, size):
        """Standard normal numbers for the examples of step ``number``: [count, size].

        They depend on the seed, the step and an example's place in the whole batch, not on how many
        devices share it: draw the noise of a loss here.
        """
        replica = tf.distribute.get_replica_context()
        everyone = tf.random.stateless_normal(
            [count * replica.num_replicas_in_sync, size],
            seed=tf.stack([self.seed, tf.cast(number, tf.int32)]))
        first = count * replica.replica_id_in_sync_group
        return everyone[first:first + count]

    def step(self, batch, number):
        with tf.GradientTape() as tape:
            loss, scalars = self.loss(batch, number)
            scaled = self.loss_scale.scaled(loss)
        gradients = self.loss_scale.unscaled(
            tape.gradient(scaled, [v.value for v in self.variables]))
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            # The mean over equal shares of a batch, before it is clipped.
            gradients = replica.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        gradients, norm = self._clip(gradients)
        self.loss_scale.update(tf.math.is_finite(norm))
        # The optimiser adds up what all replicas hand in.
        self.optimizer.apply_gradients(
            (gradient / replica.num_replicas_in_sync, variable)
            for gradient, variable in zip(gradients, self.variables, strict=True))
        return dict(scalars, loss=loss, gradient_norm=norm)

    def _clip(self, gradients):
        norm = tf.linalg.global_norm(gradients)
        typical = tf.where(self.typical_norm > 0, self.typical_norm, norm)
        clipped = tf.minimum(norm, self.fit.clip * typical)
        usable = tf.math.is_finite(norm) & (norm > 0)
        self.typical_norm.assign(
            tf.where(usable, typical * tf.pow(clipped / typical, 0.02), self.typical_norm))
        factor = clipped / norm
        # A step whose gradient overflowed, or vanished altogether, is passed over.
        return [tf.where(usable, g * factor, tf.zeros_like(g)) for g in gradients], norm

    def state(self):
        return dict(self.networks, optimizer=self.optimizer, typical_norm=self.typical_norm,
                    loss_scale=self.loss_scale)

    def finish(self):
        self.optimizer.finalize_variable_values(self.variables)


def uses_float16(networks):
    """Whether layers of some networks, a dict of them, compute in float16."""
    return any(getattr(layer, "compute_dtype", None) == "float16"
               for network in networks.values()
               for layer in getattr(network, "_flatten_layers", tuple)())
