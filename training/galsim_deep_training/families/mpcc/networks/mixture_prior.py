"""Prior of the latent, a mixture of Gaussians with a component for each class.

Astorga 2021, section 7.2: p(y = k) = phi_k and p(z | y = k) = N(mu_k, sigma_k^2), where means and
deviations are learned. With catalogue columns c the components depend on them: mu_k(c) = mu_k +
A_k(c) and ln(sigma_k(c) - floor) = s_k + B_k(c), with A and B zero before the fit.
"""

__all__ = ["FLOOR", "MixturePrior", "class_of", "uniform_of"]

import keras
import numpy as np
import tensorflow as tf

from ....networks.blocks import bounded, mlp

FLOOR = 0.5
"""Smallest standard deviation of a component (section 8.1.4)."""


class MixturePrior(keras.Model):
    """K diagonal Gaussians in J dimensions. A single one is standard normal and not trained.

    Parameters:
        classes:        Number of classes, K.
        latent_size:    Dimension of the latent, J.
        columns:        Number of columns that the components depend on, C; 0 for none.
        floor:          Smallest standard deviation; it is added to the learned one.
        hidden:         Units of the hidden layer of the network of the columns.
        separation:     Norm of the initial means, which are orthogonal, if latent_size >= classes.
                        With fewer dimensions they are not orthogonal, and their norms are at most
                        this number. The initial deviations are one.
        seed:           Determines the initial means.

    >>> prior = MixturePrior(classes=2, latent_size=3)
    >>> mean, deviation = prior.components(tf.zeros([1, 0]))
    >>> deviation.numpy().round(3)
    array([[[1., 1., 1.],
            [1., 1., 1.]]], dtype=float32)
    """

    def __init__(self, classes: int, latent_size: int, columns: int = 0, floor: float = FLOOR,
                 hidden: int = 32, separation: float = 1.0, seed: int = 0) -> None:
        super().__init__(name="prior", dtype="float32")
        self.classes, self.latent_size, self.floor = classes, latent_size, float(floor)
        trainable = classes > 1
        initializer = (keras.initializers.Orthogonal(separation, seed=seed) if trainable
                       else "zeros")
        self.means = self.add_weight(shape=(classes, latent_size), initializer=initializer,
                                     name="means", trainable=trainable)
        self.log_deviations = self.add_weight(
            shape=(classes, latent_size), name="log_deviations", trainable=trainable,
            initializer=keras.initializers.Constant(np.log(1.0 - floor)))
        self.network = None
        if columns and trainable:
            self.network = mlp(2 * classes * latent_size, (hidden,), output_initializer="zeros")
            self.network.build((None, columns))
        self.built = True

    def components(self, conditions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Means and standard deviations of the components.

        Parameters:
            conditions:     Standardised columns, [N, C].

        Returns:
            (means, deviations), [N, K, J] each, or [1, K, J] if they do not depend on columns.
        """
        mean, log_deviation = (
            tf.convert_to_tensor(part)[None] for part in (self.means, self.log_deviations))
        if self.network is None:
            return mean, self.floor + tf.exp(log_deviation)
        changes = tf.reshape(self.network(conditions), [-1, self.classes, 2 * self.latent_size])
        shift, log_factor = tf.split(changes, 2, axis=-1)
        return mean + shift, self.floor + tf.exp(log_deviation + bounded(log_factor, 1.0))

    def draw(self, normal: tf.Tensor, classes: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Draw latents of given classes by reparameterisation: mu_y + sigma_y * normal.

        Parameters:
            normal:         Standard normal numbers, [N, J].
            classes:        One-hot, [N, K].
            conditions:     Standardised columns, [N, C].

        Returns:
            [N, J].
        """
        mean, deviation = (tf.reduce_sum(classes[:, :, None] * part, axis=1)
                           for part in self.components(conditions))
        return mean + deviation * normal

    def log_densities(self, latent: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """ln N(z | mu_k, sigma_k^2) of latents [N, J] for each class, [N, K] [nats]."""
        mean, deviation = self.components(conditions)
        square = tf.square((latent[:, None, :] - mean) / deviation)
        return -0.5 * tf.reduce_sum(
            square + 2.0 * tf.math.log(deviation) + np.log(2 * np.pi), axis=-1)

    def log_class_probability(self, latent: tf.Tensor, log_weights: tf.Tensor,
                              conditions: tf.Tensor) -> tf.Tensor:
        """ln q(y = k | z), the posterior of the class by Bayes' theorem (eq. 7.15).

        Parameters:
            latent:         [N, J].
            log_weights:    Logarithms of the frequencies of the classes, [N, K] or [1, K].
            conditions:     Standardised columns, [N, C].

        Returns:
            [N, K].
        """
        return tf.nn.log_softmax(log_weights + self.log_densities(latent, conditions))


def uniform_of(normal: tf.Tensor) -> tf.Tensor:
    """Convert standard normal numbers to uniform ones by the normal CDF, to 1e-7.

    Abramowitz & Stegun 1964, 7.1.26, since compact graphs have no error function.

    >>> uniform_of(tf.constant([-1.0, 0.0, 1.0])).numpy().round(3)
    array([0.159, 0.5  , 0.841], dtype=float32)
    """
    x = tf.abs(normal) * np.float32(np.sqrt(0.5))
    t = 1.0 / (1.0 + 0.3275911 * x)
    tail = 0.5 * tf.exp(-tf.square(x)) * t * (0.254829592 + t * (-0.284496736 + t * (
        1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return tf.where(normal < 0, tail, 1.0 - tail)


def class_of(uniform: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Draw a class for each row by the inverse of the cumulative distribution.

    Parameters:
        uniform:    Uniform numbers between 0 and 1, [N].
        weights:    Probabilities of the classes, [N, K] or [1, K]; each row sums to one.

    Returns:
        classes, int32 [N], from 0 to K - 1.

    >>> class_of(tf.constant([0.1, 0.6, 1.0]), tf.constant([[0.5, 0.25, 0.25]])).numpy()
    array([0, 1, 2], dtype=int32)
    """
    # The last cumulative probability is left out, since rounding may put it below one.
    passed = tf.cast(uniform[:, None] >= tf.cumsum(weights, axis=-1)[:, :-1], tf.int32)
    return tf.reduce_sum(passed, axis=-1)
