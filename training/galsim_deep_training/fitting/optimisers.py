"""Optimisers and learning rates, by the names that recipes use."""

__all__ = ["Adafactor", "ConstantRate", "SquareRootDecay", "learning_rate", "make_optimizer"]

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from ..recipe import PhaseSettings

Schedule: TypeAlias = keras.optimizers.schedules.LearningRateSchedule


def make_optimizer(settings: PhaseSettings, base: float | None = None, updates: int = 1,
                   **options: Any) -> keras.optimizers.Optimizer:
    """The optimiser of a phase; it keeps the exponential moving average of the weights.

    It does not clip gradients, see `fitting.optimiser_step`.

    Parameters:
        settings:       The settings of the phase.
        base:           The highest learning rate.  [default: ``settings.learning_rate``]
        updates:        Number of times that the optimiser updates its weights in each step of the
                        phase.
        options:        Options of the optimiser, such as ``beta_1``.
    """
    kinds = dict(adam=keras.optimizers.Adam, adafactor=Adafactor)
    options = dict(dict(use_ema=True, ema_momentum=settings.average), **options)
    rate = learning_rate(settings, base)
    if updates > 1:
        rate = UpdatesPerStep(rate, updates)
    return kinds[settings.optimizer](rate, **options)


def learning_rate(settings: PhaseSettings, base: float | None = None) -> Schedule:
    """The learning rate of a phase as a function of the step, a Keras schedule.

    It rises from zero over ``warm_up`` steps (at most half of all), and then

    * ``cosine``: falls to zero at the last step as half a cosine,
    * ``square_root``: falls as the inverse square root of the step, see `SquareRootDecay`,
    * ``constant``: stays constant.

    Parameters:
        settings:       The settings of the phase.
        base:           The highest learning rate.  [default: ``settings.learning_rate``]
    """
    warm_up = min(settings.warm_up, settings.steps // 2)
    base = base or settings.learning_rate
    if settings.schedule == "constant":
        return ConstantRate(base, warm_up)
    if settings.schedule == "square_root":
        return SquareRootDecay(base, warm_up)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(settings.steps - warm_up, 1), warmup_target=base, warmup_steps=warm_up)


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
