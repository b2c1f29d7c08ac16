"""What every model family offers to the training loop and to the exporter."""

__all__ = ["Context", "GradientPhase", "ModelFamily", "Phase", "Signature"]

import abc
import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimError

from ..optimisation import make_optimizer
from ..precision import LossScale
from ..recipe import Settings


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of the exported module: ``call(**inputs) -> dict of outputs``."""

    call: Callable
    inputs: dict
    """Name -> `tf.TensorSpec`, batch dimension None."""


class ModelFamily(abc.ABC):
    """A kind of generative model: its networks, its phases of training, its signatures.

    A subclass registers itself by the name used in recipes::

        class FlowVAE(ModelFamily, name="flow_vae"):
            ...

    Attributes that subclasses set: ``phase_names``, for which a recipe says how they are fitted,
    and ``optional_phases``, which are left out where it does not; ``latent_size``, the number of
    standard normal numbers a galaxy takes; and ``networks``, a dict of everything that is saved in
    checkpoints.
    """

    Settings = Settings
    phase_names = ()
    optional_phases = ()
    optional_columns = False
    """Whether the signatures take NaN for a column that is not given."""
    registry = {}

    def __init_subclass__(cls, name, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.name = name
        ModelFamily.registry[name] = cls

    def __init__(self, settings, recipe):
        self.settings = settings
        self.recipe = recipe
        # One seed decides every initial weight.
        keras.utils.set_random_seed(recipe.seed)
        self.context = Context(recipe.columns)
        self.networks = {"context": self.context}

    def prepare(self, dataset):
        """Take from the training data what the networks need before the first step."""
        self.context.adapt({name: values[dataset.train_indices]
                            for name, values in dataset.columns.items()})

    @property
    @abc.abstractmethod
    def phases(self):
        """The phases of the training, in order: a list of `Phase`."""

    @abc.abstractmethod
    def signatures(self):
        """What the module offers: a dict of name -> `Signature`; ``sample`` is required."""

    @classmethod
    def all_settings(cls, settings, recipe):
        """Settings with all defaults, as JSON has them: what checkpoints belong to."""
        return settings.model_dump(mode="json")

    def column_specs(self):
        """The inputs that every signature conditioned on columns has."""
        return {column.name: tf.TensorSpec([None], tf.float32, column.name)
                for column in self.recipe.columns}


class Context(keras.layers.Layer):
    """Standardises catalogue columns: (f(value) - mean) / deviation, f the identity or a logarithm.

    A dict of columns, each [N], becomes [N, C] in the order of the recipe.
    """

    def __init__(self, columns):
        super().__init__(name="context", dtype="float32")
        self.columns = columns
        self.mean, self.deviation = (
            self.add_weight(shape=(len(columns),), initializer=start, trainable=False, name=name)
            for name, start in [("mean", "zeros"), ("deviation", "ones")])

    def _scaled(self, columns):
        return [columns[c.name] if c.scale == "linear" else tf.math.log(columns[c.name] + c.offset)
                for c in self.columns]

    def adapt(self, columns):
        """Learn means and deviations from the training split."""
        values = np.stack([np.asarray(v, float) for v in self._scaled(columns)])
        for column, row in zip(self.columns, values, strict=True):
            finite = np.isfinite(row).all()
            if not finite or row.std() == 0:
                fault = "are all the same" if finite else "or their logarithms are not all finite"
                raise GalSimError(
                    f"The column '{column.name}' of the data set cannot be standardised: its "
                    f"values {fault}. Leave it out of the recipe, or the rows at fault out of the "
                    "data set.")
        self.mean.assign(values.mean(axis=1))
        self.deviation.assign(values.std(axis=1))

    def call(self, columns):
        """dict of [N] -> [N, C]."""
        return (tf.stack(self._scaled(columns), axis=-1) - self.mean) / self.deviation

    def columns_of(self, values):
        """The way back: [N, C] -> dict of [N]."""
        values = tf.unstack(values * self.deviation + self.mean, axis=-1)
        return {c.name: value if c.scale == "linear" else tf.exp(value) - c.offset
                for c, value in zip(self.columns, values, strict=True)}


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
        self.loss_scale = LossScale(any(map(_uses_float16, networks.values())))
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


def _uses_float16(network):
    return any(getattr(layer, "compute_dtype", None) == "float16"
               for layer in getattr(network, "_flatten_layers", tuple)())
