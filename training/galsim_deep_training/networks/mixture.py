"""A mixture of Gaussians as the prior of a latent, and what it says about classes.

Astorga 2021, section 7.2: p(y = k) = phi_k, p(z | y = k) = N(mu_k, sigma_k^2), all learnable but
the first.  With catalogue columns c, means and deviations move with them: mu_k(c) = mu_k + A_k(c)
and log (sigma_k(c) - floor) = s_k + B_k(c), with A and B zero at first.
"""

__all__ = ["MixturePrior", "class_of", "uniform_of"]

import keras
import numpy as np
import tensorflow as tf

from .blocks import dense
from .flows.base import bounded

FLOOR = 0.5
"""Smallest standard deviation of a component (section 8.1.4)."""


class MixturePrior(keras.Model):
    """K diagonal Gaussians in J dimensions; one alone is a standard normal, and learns nothing.

    Parameters:
        classes:        K.
        latent_size:    J.
        columns:        How many columns the components depend on, C; 0 for none.
        floor:          Smallest standard deviation, added to what is learned.
        hidden:         Units of the network that the columns go through.
        separation:     How far from zero the first means are; they are at right angles to each
                        other, as far as there are dimensions for that, and the first deviations 1.
        seed:           Draws the first means.
    """

    def __init__(self, classes, latent_size, columns=0, floor=FLOOR, hidden=32,
                 separation=1.0, seed=0):
        super().__init__(name="prior", dtype="float32")
        self.classes, self.latent_size, self.floor = classes, latent_size, float(floor)
        learns = classes > 1
        first = keras.initializers.Orthogonal(separation, seed=seed) if learns else "zeros"
        self.means = self.add_weight(shape=(classes, latent_size), initializer=first, name="means",
                                     trainable=learns)
        # Deviations of one at first.
        raw = np.log(1.0 - floor)
        self.spreads = self.add_weight(shape=(classes, latent_size), name="spreads",
                                       initializer=keras.initializers.Constant(raw),
                                       trainable=learns)
        self.moves = None
        if columns and learns:
            self.moves = dense(2 * classes * latent_size, (hidden,), last="zeros")
            self.moves.build((None, columns))
        self.built = True

    def components(self, context):
        """Means and standard deviations for columns [N, C], standardised: [N, K, J] each.

        Where the components do not depend on columns, [1, K, J].
        """
        mean, spread = (tf.convert_to_tensor(part)[None] for part in (self.means, self.spreads))
        if self.moves is None:
            return mean, self.floor + tf.exp(spread)
        moves = tf.reshape(self.moves(context), [-1, self.classes, 2 * self.latent_size])
        along, wider = tf.split(moves, 2, axis=-1)
        return mean + along, self.floor + tf.exp(spread + bounded(wider, 1.0))

    def draw(self, normal, weights, context):
        """Latents of some class: mu_y + sigma_y normal (the reparameterised draw).

        Parameters:
            normal:     Standard normal numbers, [N, J].
            weights:    The class, one-hot, [N, K].
            context:    [N, C].

        Returns:
            [N, J].
        """
        mean, deviation = (tf.reduce_sum(weights[:, :, None] * part, axis=1)
                           for part in self.components(context))
        return mean + deviation * normal

    def log_densities(self, latent, context):
        """log N(z | mu_k, sigma_k^2) of latents [N, J] for each class: [N, K]."""
        mean, deviation = self.components(context)
        square = tf.square((latent[:, None, :] - mean) / deviation)
        return -0.5 * tf.reduce_sum(
            square + 2.0 * tf.math.log(deviation) + np.log(2 * np.pi), axis=-1)

    def log_membership(self, latent, log_weights, context):
        """log q(y = k | z) of latents [N, J] (eq. 7.15): [N, K].

        ``log_weights`` are the logarithms of the weights of the classes, [N, K] or [1, K].
        """
        return tf.nn.log_softmax(log_weights + self.log_densities(latent, context))


def uniform_of(normal):
    """Numbers that are uniform in 0 to 1, of standard normal ones, to 1e-7.

    By Abramowitz & Stegun 1964, 7.1.26: compact graphs have no error function.
    """
    x = tf.abs(normal) * np.float32(np.sqrt(0.5))
    t = 1.0 / (1.0 + 0.3275911 * x)
    tail = 0.5 * tf.exp(-tf.square(x)) * t * (0.254829592 + t * (-0.284496736 + t * (
        1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return tf.where(normal < 0, tail, 1.0 - tail)


def class_of(uniform, weights):
    """A class for each row by the inverse of the cumulative distribution.

    Parameters:
        uniform:    Numbers between 0 and 1, [N].
        weights:    Of the classes, [N, K] or [1, K], each row summing to one.

    Returns:
        int32 [N], 0 .. K - 1.
    """
    # Not the last edge, which rounding may put below one.
    passed = tf.cast(uniform[:, None] >= tf.cumsum(weights, axis=-1)[:, :-1], tf.int32)
    return tf.reduce_sum(passed, axis=-1)
