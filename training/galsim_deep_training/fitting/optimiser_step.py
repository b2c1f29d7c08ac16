"""One optimiser and the variables that it updates, with clipping of gradients."""

__all__ = ["OptimiserStep"]

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from .precision import LossScale


class OptimiserStep:
    """Minimises a loss, with gradients clipped at a multiple of their typical norm.

    The typical norm is a running geometric mean.  A single bright galaxy in a batch can raise the
    norm by a factor of a hundred.

    Parameters:
        variables:      The Keras variables that are updated.
        optimizer:      A Keras optimiser.
        clip:           Maximum norm of a gradient, in units of the typical norm.
        float16:        Whether the loss comes from layers that compute in float16.

    Attributes:
        typical_norm:   The running geometric mean of the clipped norms, a scalar variable.
        loss_scale:     The `LossScale`.

    >>> x = keras.Variable(2.0)
    >>> step = OptimiserStep([x], keras.optimizers.SGD(0.25), clip=3.0)
    >>> loss, scalars, norm = step.step(lambda: (x.value**2, {}))
    >>> float(loss), float(norm), float(x.value)
    (4.0, 4.0, 1.0)
    """

    def __init__(self, variables: Sequence[keras.Variable], optimizer: keras.optimizers.Optimizer,
                 clip: float, float16: bool = False) -> None:
        self.variables, self.optimizer, self.clip = variables, optimizer, clip
        self.optimizer.build(variables)
        self.loss_scale = LossScale(float16)
        self.typical_norm = tf.Variable(
            0.0, trainable=False, name="typical_norm",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def step(self, function: Callable[[], tuple[tf.Tensor, dict[str, tf.Tensor]]]
             ) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]:
        """Update the variables once.

        Parameters:
            function:   A function without arguments that returns the loss, a scalar, and a dict of
                        scalars.

        Returns:
            the loss, the dict, and the norm of the gradient before clipping.
        """
        with tf.GradientTape() as tape:
            loss, scalars = function()
            scaled = self.loss_scale.scaled(loss)
        gradients = self.loss_scale.unscaled(
            # Zero for variables that the loss does not depend on in this step.
            tape.gradient(scaled, [v.value for v in self.variables],
                          unconnected_gradients=tf.UnconnectedGradients.ZERO))
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            # The gradient of the whole batch is the mean over its equal shares.
            gradients = replica.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        gradients, norm = self.clipped(gradients)
        self.loss_scale.update(tf.math.is_finite(norm))
        # The optimiser sums the gradients of all replicas.
        self.optimizer.apply_gradients(
            (gradient / replica.num_replicas_in_sync, variable)
            for gradient, variable in zip(gradients, self.variables, strict=True))
        return loss, scalars, norm

    def clipped(self, gradients: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Clip gradients and update the typical norm.

        Returns:
            the clipped gradients, zero if their norm is zero or not finite, and the norm before.
        """
        norm = tf.linalg.global_norm(gradients)
        typical = tf.where(self.typical_norm > 0, self.typical_norm, norm)
        clipped = tf.minimum(norm, self.clip * typical)
        usable = tf.math.is_finite(norm) & (norm > 0)
        self.typical_norm.assign(
            tf.where(usable, typical * tf.pow(clipped / typical, 0.02), self.typical_norm))
        factor = clipped / norm
        # If the gradient overflowed or is zero, nothing is updated.
        return [tf.where(usable, g * factor, tf.zeros_like(g)) for g in gradients], norm

    def state(self) -> dict[str, Any]:
        """The trackable objects that a checkpoint saves, by name."""
        return dict(optimizer=self.optimizer, typical_norm=self.typical_norm,
                    loss_scale=self.loss_scale)
