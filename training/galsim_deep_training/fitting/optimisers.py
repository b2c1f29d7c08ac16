"""Optimisers and learning rates, by the names that recipes use."""

__all__ = ["Adafactor", "ConstantRate", "Lars", "SquareRootDecay", "learning_rate",
           "make_optimizer"]

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf
from galsim import GalSimConfigError

from ..recipe import PhaseSettings
from .plateau import Plateau

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule


def make_optimizer(settings: PhaseSettings, base: float | None = None, updates: int = 1,
                   plateau: Plateau | None = None, **options: Any) -> keras.optimizers.Optimizer:
    """The optimiser of a phase; it keeps the exponential moving average of the weights.

    It does not clip gradients, see `fitting.optimiser_step`.

    Parameters:
        settings:       The settings of the phase.
        base:           The highest learning rate.  [default: ``settings.learning_rate``]
        updates:        Number of times that the optimiser updates its weights in each step of the
                        phase.
        plateau:        What multiplies the learning rate, with the schedule ``plateau``.
        options:        Options of the optimiser, such as ``beta_1``.

    Raises:
        galsim.GalSimConfigError: if the schedule is ``plateau`` in a phase without one.
    """
    kinds = dict(adam=keras.optimizers.Adam, adafactor=Adafactor, rmsprop=keras.optimizers.RMSprop,
                 lars=Lars)
    options = dict(dict(use_ema=True, ema_momentum=settings.average), **options)
    if settings.optimizer in ("rmsprop", "lars"):
        options["momentum"] = settings.momentum
    if settings.weight_decay:
        options["weight_decay"] = settings.weight_decay
    rate = learning_rate(settings, base)
    if updates > 1:
        rate = UpdatesPerStep(rate, updates)
    if settings.schedule == "plateau":
        if plateau is None:
            raise GalSimConfigError("The schedule 'plateau' is possible only in phases that "
                                    "minimise one loss. Choose another schedule for this phase.")
        rate = PlateauRate(rate, plateau)
    return kinds[settings.optimizer](rate, **options)


def learning_rate(settings: PhaseSettings, base: float | None = None) -> Schedule:
    """The learning rate of a phase as a function of the step, a Keras schedule.

    It rises from zero over ``warm_up`` steps (at most half of all), and then

    * ``cosine``: falls to zero at the last step as half a cosine,
    * ``square_root``: falls as the inverse square root of the step, see `SquareRootDecay`,
    * ``constant``: stays constant,
    * ``plateau``: stays constant here; `make_optimizer` multiplies it by the factor of a `Plateau`.

    Parameters:
        settings:       The settings of the phase.
        base:           The highest learning rate.  [default: ``settings.learning_rate``]
    """
    warm_up = min(settings.warm_up, settings.steps // 2)
    base = base or settings.learning_rate
    if settings.schedule in ("constant", "plateau"):
        return ConstantRate(base, warm_up)
    if settings.schedule == "square_root":
        return SquareRootDecay(base, warm_up)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(settings.steps - warm_up, 1), warmup_target=base, warmup_steps=warm_up)


class PlateauRate(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times the factor of a `Plateau`.

    Parameters:
        schedule:       The learning rate as a function of the step.
        plateau:        The `Plateau`.
    """

    def __init__(self, schedule: Schedule, plateau: Plateau) -> None:
        super().__init__()
        self.schedule, self.plateau = schedule, plateau

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return self.schedule(step) * self.plateau.multiplier

    def get_config(self) -> dict[str, Any]:
        return dict(schedule=self.schedule, plateau=self.plateau)


class UpdatesPerStep(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule for an optimiser that updates its weights several times in each step of a phase.

    Parameters:
        schedule:       The learning rate as a function of the step of the phase.
        updates:        Number of updates in each step; the optimiser counts updates.
    """

    def __init__(self, schedule: Schedule, updates: int) -> None:
        super().__init__()
        self.schedule, self.updates = schedule, updates

    def __call__(self, update: tf.Tensor) -> tf.Tensor:
        return self.schedule(tf.cast(update, tf.int64) // self.updates)

    def get_config(self) -> dict[str, Any]:
        return dict(schedule=self.schedule, updates=self.updates)


@keras.saving.register_keras_serializable("galsim_deep")
class SquareRootDecay(keras.optimizers.schedules.LearningRateSchedule):
    """``base * min(step / warm_up, sqrt(warm_up / step))``.

    Lanusse et al. 2021 (arXiv:2008.03833) name this decay without a formula; this is the usual one.
    The rate is highest, at ``base``, at the end of the warm-up, and a tenth of that after a hundred
    times as many steps.  Without warm-up it is ``base / sqrt(step)``, with steps counted from one.

    Parameters:
        base:           The highest learning rate.
        warm_up:        Number of steps over which the rate rises linearly from zero.

    >>> [round(float(SquareRootDecay(1.0, 4)(step)), 2) for step in (2, 4, 16, 400)]
    [0.5, 1.0, 0.5, 0.1]
    """

    def __init__(self, base: float, warm_up: int) -> None:
        super().__init__()
        self.base, self.warm_up = base, warm_up

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step, warm_up = tf.cast(step, tf.float32), float(max(self.warm_up, 1))
        decay = tf.sqrt(warm_up / tf.maximum(step, warm_up))
        rise = tf.minimum(step / warm_up, 1.0) if self.warm_up else 1.0
        return self.base * rise * decay

    def get_config(self) -> dict[str, Any]:
        return dict(base=self.base, warm_up=self.warm_up)


@keras.saving.register_keras_serializable("galsim_deep")
class ConstantRate(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises linearly from zero over ``warm_up`` steps and then stays at ``base``.

    >>> [float(ConstantRate(1.0, 4)(step)) for step in (0, 3, 100)]
    [0.25, 1.0, 1.0]
    """

    def __init__(self, base: float, warm_up: int) -> None:
        super().__init__()
        self.base, self.warm_up = base, warm_up

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32) + 1.0
        return self.base * tf.minimum(step / float(max(self.warm_up, 1)), 1.0)

    def get_config(self) -> dict[str, Any]:
        return dict(base=self.base, warm_up=self.warm_up)


class Lars(keras.optimizers.Optimizer):
    """LARS: layer-wise adaptive rates (You, Gitman & Ginsburg 2017, arXiv:1708.03888, algorithm 1).

    The learning rate of each kernel is multiplied by ``trust |w| / (|g| + decay |w|)``, so that
    each layer moves by a similar fraction of its weights in large batches.  Biases and the weights
    of normalisation layers, which are vectors, are updated by plain momentum without decay, as is
    usual in self-supervised learning.

    Parameters:
        learning_rate:  A number or a schedule.
        momentum:       Momentum of the updates.
        weight_decay:   Multiple of the weights that is added to their gradient.
        trust:          The trust coefficient, eta in the paper.
        kwargs:         Options of every Keras optimiser.

    >>> kernel = keras.Variable([[3.0, 4.0]])
    >>> optimizer = Lars(learning_rate=1.0, momentum=0.0, trust=0.1)
    >>> optimizer.apply([tf.constant([[2.0, 0.0]])], [kernel])
    >>> kernel.numpy()  # moved by a tenth of the norm of the weights, against the gradient
    array([[2.5, 4. ]], dtype=float32)
    """

    def __init__(self, learning_rate: float | Schedule = 1e-3, momentum: float = 0.9,
                 weight_decay: float = 0.0, trust: float = 1e-3, name: str = "lars",
                 **kwargs: Any) -> None:
        # The decay of Keras is another one: it does not enter the momentum.
        super().__init__(learning_rate, name=name, **kwargs)
        self.momentum, self.added_decay, self.trust = momentum, weight_decay, trust

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._velocities = [self.add_variable_from_reference(variable, "velocity")
                            for variable in variables]

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable,
                    learning_rate: tf.Tensor) -> None:
        velocity = self._velocities[self._get_variable_index(variable)]
        weights = tf.convert_to_tensor(variable)
        if len(variable.shape) > 1:
            weight_norm, gradient_norm = tf.norm(weights), tf.norm(gradient)
            usable = (weight_norm > 0) & (gradient_norm > 0)
            ratio = self.trust * weight_norm / (gradient_norm + self.added_decay * weight_norm)
            gradient = gradient + self.added_decay * weights
            learning_rate = learning_rate * tf.where(usable, ratio, 1.0)
        step = self.momentum * tf.convert_to_tensor(velocity) + learning_rate * gradient
        self.assign(velocity, step)
        self.assign_sub(variable, step)


class Adafactor(keras.optimizers.Optimizer):
    """Adafactor (Shazeer & Stern 2018, arXiv:1804.04235) with a given learning rate, and without
    the clipping of the paper.

    For each kernel, mean squares of the gradient are kept by row and by column only.  Steps are
    proportional to the root mean square of the weights, but at least to ``minimum_scale``, so that
    weights which start from zero can change.

    Keras has an Adafactor as well.  Its product of row and column means underflows to zero if both
    belong to units that a relu has switched off, and the weights between them become NaN; and its
    learning rate never exceeds 1 / sqrt(step).

    Parameters:
        learning_rate:  A number or a schedule, relative to the root mean square of the weights.
        decay:          Exponent of the decay of the running mean squares: at step n, the weight of
                        the new gradient is n^decay.
        minimum_scale:  Minimum of the root mean square of the weights to which a step is
                        proportional.
        kwargs:         Options of every Keras optimiser.

    >>> kernel = keras.Variable([[1.0, 1.0]])
    >>> Adafactor(learning_rate=0.5).apply([tf.constant([[4.0, 4.0]])], [kernel])
    >>> kernel.numpy().round(3)  # one step of half the root mean square of the weights
    array([[0.5, 0.5]], dtype=float32)
    """

    _tiny = 1e-30

    def __init__(self, learning_rate: float | Schedule = 1e-3, decay: float = -0.8,
                 minimum_scale: float = 1e-3, name: str = "adafactor", **kwargs: Any) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        self.decay, self.minimum_scale = decay, minimum_scale

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        # For a kernel [..., m, n]: means over n and over m; for a vector the squares themselves.
        self._means = []
        for variable in variables:
            shape = tuple(variable.shape)
            shapes = [shape[:-1], (*shape[:-2], shape[-1])] if len(shape) > 1 else [shape]
            self._means.append([self.add_variable(shape=mean_shape, name=f"mean_{axis}")
                                for axis, mean_shape in enumerate(shapes)])

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable,
                    learning_rate: tf.Tensor) -> None:
        means = self._means[self._get_variable_index(variable)]
        new_share = tf.pow(tf.cast(self.iterations + 1, tf.float32), self.decay)
        square = tf.square(gradient) + self._tiny
        for axis, mean in zip((-1, -2), means, strict=False):
            mean_square = tf.reduce_mean(square, axis=axis) if len(means) > 1 else square
            self.assign(mean, (1.0 - new_share) * mean + new_share * mean_square)
        if len(means) > 1:
            row, column = (tf.convert_to_tensor(mean) for mean in means)
            # One factor after the other: their product can underflow in float32.
            update = (gradient * (tf.math.rsqrt(row) * tf.sqrt(
                tf.reduce_mean(row, axis=-1, keepdims=True)))[..., None]
                * tf.math.rsqrt(column)[..., None, :])
        else:
            update = gradient * tf.math.rsqrt(tf.convert_to_tensor(means[0]))
        scale = tf.sqrt(tf.reduce_mean(tf.square(variable)))
        self.assign_sub(variable, learning_rate * tf.maximum(scale, self.minimum_scale) * update)
