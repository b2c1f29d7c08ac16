"""What every model family offers to the training loop and to the exporter."""

__all__ = ["Context", "ModelFamily", "Signature"]

import abc
import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from galsim import GalSimError

from ..networks.completion import completed
from ..registry import Registered


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of the exported module: ``call(**inputs) -> dict of outputs``."""

    call: Callable
    inputs: dict
    """Name -> `tf.TensorSpec`, batch dimension None."""


class ModelFamily(Registered, abc.ABC):
    """A kind of generative model: its networks, its phases of training, its signatures.

    A subclass registers itself by the name used in recipes::

        class FlowVAE(ModelFamily, name="flow_vae"):
            ...

    Attributes that subclasses set: ``phase_names``, for which a recipe says how they are fitted,
    and ``optional_phases``, which are left out where it does not; ``latent_size``, the number of
    standard normal numbers a galaxy takes; and ``networks``, a dict of everything that is saved in
    checkpoints.
    """

    phase_names = ()
    optional_phases = ()
    optional_columns = False
    """Whether the signatures take NaN for a column that is not given."""

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
        """The phases of the training, in order: a list of `phases.base.Phase`."""

    @abc.abstractmethod
    def signatures(self):
        """What the module offers: a dict of name -> `Signature`; ``sample`` is required."""

    def classes(self, dataset):
        """The discrete classes of the model: dicts of ``name``, ``description`` and ``share``.

        With any, there is a signature ``cluster``: ``sample`` with one more input, the class of
        each row, int32 [N], -1 to draw it.
        """
        return []

    @classmethod
    def all_settings(cls, settings, recipe):
        """Settings with all defaults, as JSON has them: what checkpoints belong to."""
        return settings.model_dump(mode="json")

    def completed(self, columns, normal=None):
        """The columns, with a value drawn for each that is NaN; see `networks.completion`.

        Families with ``optional_columns`` have a `networks.completion.Completion`.
        """
        if not self.optional_columns:
            return columns
        return completed(self.completion, self.context, columns, normal)

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
