"""Losses of matching priors and conditionals (MPCC).

The divergence D_KL(p(x, z, y) || q(x, z, y)) of the generative from the inference model has three
terms (Astorga 2021, section 7.2, eq. 7.11): images should be like real ones, which is judged by a
discriminator (loss I); an encoder should recover the latents, and the mixture their class (II); the
entropy of the prior (III).

Reference: Astorga et al. 2020, arXiv:2008.09641.
"""

__all__ = ["class_negative_log_likelihood", "discriminator_loss", "generator_loss",
           "latent_negative_log_likelihood", "prior_regulariser", "unevenness"]

import numpy as np
import tensorflow as tf


def discriminator_loss(real_scores: tf.Tensor, generated_scores: tf.Tensor) -> tf.Tensor:
    """Hinge loss of the discriminator, loss I (eq. 7.12; Lim & Ye 2017, arXiv:1705.02894).

    Parameters:
        real_scores:        Scores of real images, [N].
        generated_scores:   Scores of generated images, [N].

    Returns:
        a scalar.

    >>> float(discriminator_loss(tf.constant([0.5]), tf.constant([-2.0])))
    0.5
    """
    return (tf.reduce_mean(tf.nn.relu(1.0 - real_scores))
            + tf.reduce_mean(tf.nn.relu(1.0 + generated_scores)))


def generator_loss(generated_scores: tf.Tensor) -> tf.Tensor:
    """Loss I of generator and prior, a scalar (eq. 7.12).

    >>> float(generator_loss(tf.constant([0.5, -1.5])))
    0.5
    """
    return -tf.reduce_mean(generated_scores)


def latent_negative_log_likelihood(latent: tf.Tensor, mean: tf.Tensor,
                                   scale: tf.Tensor) -> tf.Tensor:
    """-ln q(z | x) for a diagonal Gaussian, loss II (eq. 7.13).

    Parameters:
        latent:     Latents from which images were generated, [N, J].
        mean:       Mean that the encoder infers from the images, [N, J].
        scale:      Standard deviation that it infers, [N, J].

    Returns:
        [N] [nats].

    >>> one = tf.ones([1, 1])
    >>> round(float(latent_negative_log_likelihood(one, 0 * one, one)[0]), 4)
    1.4189
    """
    return tf.reduce_sum(0.5 * tf.square((latent - mean) / scale) + tf.math.log(scale)
                         + 0.5 * np.log(2 * np.pi), axis=-1)


def class_negative_log_likelihood(classes: tf.Tensor,
                                  log_class_probability: tf.Tensor) -> tf.Tensor:
    """-ln q(y | z) of the class from which a latent was drawn, loss II (eq. 7.14).

    Parameters:
        classes:                One-hot, [N, K].
        log_class_probability:  ln q(y = k | z), [N, K].

    Returns:
        [N] [nats].

    >>> log_probability = tf.math.log(tf.constant([[0.25, 0.75]]))
    >>> class_negative_log_likelihood(tf.constant([[0.0, 1.0]]), log_probability).numpy().round(4)
    array([0.2877], dtype=float32)
    """
    return -tf.reduce_sum(classes * log_class_probability, axis=-1)


def prior_regulariser(weights: tf.Tensor, deviation: tf.Tensor,
                      per_dimension: bool = True) -> tf.Tensor:
    """Negative entropies of the classes and of their components, loss III (eq. 7.16).

    Parameters:
        weights:        Probabilities of the classes, phi, [N, K] or [1, K].
        deviation:      Standard deviations of the components, [N, K, J] or [1, K, J].
        per_dimension:  Whether the entropy of a component is divided by J, as in section 8.1.4.

    Returns:
        the mean over rows, a scalar [nats].

    >>> weights, deviation = tf.constant([[0.5, 0.5]]), tf.ones([1, 2, 2])
    >>> round(float(prior_regulariser(weights, deviation, per_dimension=False)), 4)
    -3.531
    """
    classes = tf.reduce_sum(weights * tf.math.log(weights), axis=-1)
    entropies = 0.5 + 0.5 * np.log(2 * np.pi) + tf.math.log(deviation)
    components = tf.reduce_sum(entropies, axis=-1)
    if per_dimension:
        components /= deviation.shape[-1]
    return tf.reduce_mean(classes - tf.reduce_sum(weights * components, axis=-1))


def unevenness(changes: tf.Tensor) -> tf.Tensor:
    """Measure how unevenly the images change for latent steps of equal length.

    For squared image changes d it is ``ln(<d^2> / <d>^2) = ln(1 + CV^2)``, where CV is the
    coefficient of variation of d. It is zero if all changes are equal, and does not depend on their
    scale. It is large for a generator that jumps from one kind of image to another, because a few d
    are then much larger than the others. The path length regularisation of StyleGAN2 (Karras et al.
    2020, arXiv:1912.04958, eq. 4) is similar, but uses the gradient; finite steps also detect
    discontinuous changes.

    Parameters:
        changes:    Squared differences of images, [N], not all zero.

    Returns:
        a scalar.

    >>> round(float(unevenness(tf.constant([1.0, 3.0]))), 4)  # ln(5 / 4)
    0.2231
    """
    return (tf.math.log(tf.reduce_mean(tf.square(changes)))
            - 2.0 * tf.math.log(tf.reduce_mean(changes)))
