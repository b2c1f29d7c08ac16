"""One optimiser and the variables that it moves."""

__all__ = ["OptimiserStep"]

import tensorflow as tf

from .precision import LossScale


class OptimiserStep:
    """Steps down a loss, with gradients clipped at a multiple of their running typical norm.

    Single bright galaxies raise the norm a hundredfold.

    Parameters:
        variables:      What is moved, a list of Keras variables.
        optimizer:      A Keras optimiser.
        clip:           That multiple.
        float16:        Whether the loss comes from layers that compute in float16.

    Attributes:
        optimizer, loss_scale, typical_norm:    What belongs into a checkpoint, see `state`.
    """

    def __init__(self, variables, optimizer, clip, float16=False):
        self.variables, self.optimizer, self.clip = variables, optimizer, clip
        self.optimizer.build(variables)
        self.loss_scale = LossScale(float16)
        self.typical_norm = tf.Variable(
            0.0, trainable=False, name="typical_norm",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def step(self, function):
        """Move the variables.

        Parameters:
            function:   Without arguments; returns the loss, a scalar, and a dict of scalars.

        Returns:
            (the loss; the dict; the norm of the gradient).
        """
        with tf.GradientTape() as tape:
            loss, scalars = function()
            scaled = self.loss_scale.scaled(loss)
        gradients = self.loss_scale.unscaled(
            tape.gradient(scaled, [v.value for v in self.variables]))
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            # The mean over equal shares of a batch, before it is clipped.
            gradients = replica.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        gradients, norm = self.clipped(gradients)
        self.loss_scale.update(tf.math.is_finite(norm))
        # The optimiser adds up what all replicas hand in.
        self.optimizer.apply_gradients(
            (gradient / replica.num_replicas_in_sync, variable)
            for gradient, variable in zip(gradients, self.variables, strict=True))
        return loss, scalars, norm

    def clipped(self, gradients):
        """The gradients, clipped, and their norm before; the typical norm follows."""
        norm = tf.linalg.global_norm(gradients)
        typical = tf.where(self.typical_norm > 0, self.typical_norm, norm)
        clipped = tf.minimum(norm, self.clip * typical)
        usable = tf.math.is_finite(norm) & (norm > 0)
        self.typical_norm.assign(
            tf.where(usable, typical * tf.pow(clipped / typical, 0.02), self.typical_norm))
        factor = clipped / norm
        # A step whose gradient overflowed, or vanished altogether, is passed over.
        return [tf.where(usable, g * factor, tf.zeros_like(g)) for g in gradients], norm

    def state(self):
        """A dict of trackable objects for a checkpoint."""
        return dict(optimizer=self.optimizer, typical_norm=self.typical_norm,
                    loss_scale=self.loss_scale)
