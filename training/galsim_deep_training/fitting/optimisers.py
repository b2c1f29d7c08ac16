"""Optimisers and learning rates, by the names that recipes use."""

__all__ = ["Adafactor", "Constant", "SquareRootDecay", "learning_rate", "make_optimizer"]

import keras
import tensorflow as tf


def make_optimizer(fit, base=None, updates=1, **options):
    """The optimiser of a phase; it keeps the exponential moving average of the weights.

    Parameters:
        fit:            A `recipe.Fit`.
        base:           The highest learning rate in place of that of ``fit``.
        updates:        How often it moves the weights in one step of the phase.
        options:        Of the optimiser, such as ``beta_1``.

    Returns:
        a Keras optimiser.  Gradients are clipped by the phase, not here.
    """
    kinds = dict(adam=keras.optimizers.Adam, adafactor=Adafactor)
    options = dict(dict(use_ema=True, ema_momentum=fit.average), **options)
    rate = learning_rate(fit, base)
    return kinds[fit.optimizer](rate if updates == 1 else Several(rate, updates), **options)


def learning_rate(fit, base=None):
    """The learning rate of a phase as a function of the step, a Keras schedule.

    It rises from zero over ``warm_up`` steps (at most half of all), and then

    * ``cosine``: falls to zero at the last step as half a cosine,
    * ``square_root``: falls as the inverse square root of the step, see `SquareRootDecay`,
    * ``constant``: stays as it is.
    """
    warm_up, base = min(fit.warm_up, fit.steps // 2), base or fit.learning_rate
    if fit.schedule == "constant":
        return Constant(base, warm_up)
    if fit.schedule == "square_root":
        return SquareRootDecay(base, warm_up)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(fit.steps - warm_up, 1), warmup_target=base, warmup_steps=warm_up)


class Several(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule for an optimiser that moves the weights several times a step.

    Parameters:
        schedule:       The learning rate as a function of the step.
        updates:        How often the optimiser, which counts these, moves the weights in a step.
    """

    def __init__(self, schedule, updates):
        super().__init__()
        self.schedule, self.updates = schedule, updates

    def __call__(self, update):
        return self.schedule(tf.cast(update, tf.int64) // self.updates)

    def get_config(self):
        return dict(schedule=self.schedule, updates=self.updates)


@keras.saving.register_keras_serializable("galsim_deep")
class SquareRootDecay(keras.optimizers.schedules.LearningRateSchedule):
    """base * min(step / warm_up, sqrt(warm_up / step)), the decay of Lanusse et al. 2021.

    The paper names the decay and not its formula; this is the usual one: the rate is highest, at
    ``base``, when the warm-up ends, and a tenth of that after a hundred times as many steps.
    Without warm-up it is base / sqrt(step), counted from one.

    Parameters:
        base:           The highest learning rate.
        warm_up:        Steps over which the rate rises from zero, linearly.
    """

    def __init__(self, base, warm_up):
        super().__init__()
        self.base, self.warm_up = base, warm_up

    def __call__(self, step):
        step, warm_up = tf.cast(step, tf.float32), float(max(self.warm_up, 1))
        decay = tf.sqrt(warm_up / tf.maximum(step, warm_up))
        rise = tf.minimum(step / warm_up, 1.0) if self.warm_up else 1.0
        return self.base * rise * decay

    def get_config(self):
        return dict(base=self.base, warm_up=self.warm_up)


@keras.saving.register_keras_serializable("galsim_deep")
class Constant(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises from zero over ``warm_up`` steps and then stays at ``base``."""

    def __init__(self, base, warm_up):
        super().__init__()
        self.base, self.warm_up = base, warm_up

    def __call__(self, step):
        step = tf.cast(step, tf.float32) + 1.0
        return self.base * tf.minimum(step / float(max(self.warm_up, 1)), 1.0)

    def get_config(self):
        return dict(base=self.base, warm_up=self.warm_up)


class Adafactor(keras.optimizers.Optimizer):
    """Adafactor (Shazeer & Stern 2018) with a given learning rate and without clipping of its own.

    The mean squares of the gradients of a kernel are kept for its rows and its columns only.  Steps
    are relative to the size of a weight, and never to less than ``smallest``: layers that start
    from zero take off slowly.

    Keras has an Adafactor as well.  Its product of row and column underflows to zero where both
    are dead (two units that a relu has switched off), and the weights between them turn into NaN;
    and it never lets the learning rate exceed 1 / sqrt(step).

    Parameters:
        learning_rate:  A number or a schedule, relative to the root mean square of a weight.
        decay:          Exponent of the decay of the running mean squares: the share of a new
                        gradient in them at step n is n^decay.
        smallest:       Size of a weight below which steps shrink no more.
        kwargs:         As for every Keras optimiser.
    """

    _tiny = 1e-30

    def __init__(self, learning_rate=1e-3, decay=-0.8, smallest=1e-3, name="adafactor", **kwargs):
        super().__init__(learning_rate, name=name, **kwargs)
        self.decay, self.smallest = decay, smallest

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # For a kernel [..., m, n]: means over n and over m; for anything else the whole.
        self._means = []
        for variable in variables:
            shape = tuple(variable.shape)
            shapes = [shape[:-1], (*shape[:-2], shape[-1])] if len(shape) > 1 else [shape]
            self._means.append([self.add_variable(shape=one, name=f"mean_{number}")
                                for number, one in enumerate(shapes)])

    def update_step(self, gradient, variable, learning_rate):
        means = self._means[self._get_variable_index(variable)]
        new = tf.pow(tf.cast(self.iterations + 1, tf.float32), self.decay)
        square = tf.square(gradient) + self._tiny
        for axis, mean in zip((-1, -2), means, strict=False):
            now = tf.reduce_mean(square, axis=axis) if len(means) > 1 else square
            self.assign(mean, (1.0 - new) * mean + new * now)
        if len(means) > 1:
            row, column = (tf.convert_to_tensor(mean) for mean in means)
            # Factor by factor: their product can be too small for float32.
            update = (gradient * (tf.math.rsqrt(row) * tf.sqrt(
                tf.reduce_mean(row, axis=-1, keepdims=True)))[..., None]
                * tf.math.rsqrt(column)[..., None, :])
        else:
            update = gradient * tf.math.rsqrt(tf.convert_to_tensor(means[0]))
        size = tf.sqrt(tf.reduce_mean(tf.square(variable)))
        self.assign_sub(variable, learning_rate * tf.maximum(size, self.smallest) * update)
