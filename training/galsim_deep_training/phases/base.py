"""What every phase of a fit offers to the training loop."""

__all__ = ["GradientPhase", "Phase", "uses_float16"]

import abc

import tensorflow as tf

from ..optimisation import make_optimizer
from .descent import Descent


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
        """One training step (called inside a graph, see `as_graph`): a dict of scalars to log."""

    @abc.abstractmethod
    def state(self):
        """A dict of trackable objects for the checkpoint."""

    def normal(self, number, count, size, stream=0):
        """Standard normal numbers for the examples of step ``number``: [count, size].

        They depend on the seed, the step and an example's place in the whole batch, not on how many
        devices share it: draw the noise of a loss here.  A step that draws several times does so
        from several ``stream``s.
        """
        replica = tf.distribute.get_replica_context()
        seed = tf.stack([self.seed, tf.cast(number, tf.int32)])
        if stream:
            seed = tf.random.experimental.stateless_fold_in(seed, stream)
        if replica is None:  # between steps, all devices are asked as one
            return tf.random.stateless_normal([count, size], seed=seed)
        everyone = tf.random.stateless_normal(
            [count * replica.num_replicas_in_sync, size], seed=seed)
        first = count * replica.replica_id_in_sync_group
        return everyone[first:first + count]

    def evaluate(self, batch):
        """Scalars on a test batch, without training (inside a graph); may be empty."""
        return {}

    def fault(self, number, scalars):
        """What is wrong with the fit after so many steps, a sentence; None if nothing is.

        Parameters:
            number:     Steps that have been made.
            scalars:    Those of `evaluate`, as numbers.
        """
        return None

    def finish(self):  # noqa: B027 - a phase may have nothing to finish
        """Called once after the last step."""


class GradientPhase(Phase):
    """A phase that minimises one loss, with the optimiser that the recipe asks for.

    The weights that are kept are an exponential moving average.

    Parameters:
        fit:            A `recipe.Fit`.
        seed:           Decides batches and noise.
        networks:       A dict of all that is saved.
        variables:      What is fitted.
        float16:        Whether the loss comes from layers that compute in float16.  [default:
                        whether the networks do]
    """

    def __init__(self, fit, seed, networks, variables, float16=None):
        super().__init__(fit, seed)
        self.networks = networks
        self.variables = variables
        if float16 is None:
            float16 = uses_float16(networks)
        self.descent = Descent(variables, make_optimizer(fit), fit.clip, float16)

    @abc.abstractmethod
    def loss(self, batch, number):
        """The loss on a batch and a dict of scalars to log: (scalar, dict)."""

    def step(self, batch, number):
        loss, scalars, norm = self.descent.step(lambda: self.loss(batch, number))
        return dict(scalars, loss=loss, gradient_norm=norm)

    def state(self):
        return dict(self.networks, **self.descent.state())

    def finish(self):
        self.descent.optimizer.finalize_variable_values(self.variables)


def uses_float16(networks):
    """Whether layers of some networks, a dict of them, compute in float16."""
    return any(getattr(layer, "compute_dtype", None) == "float16"
               for network in networks.values()
               for layer in getattr(network, "_flatten_layers", tuple)())
