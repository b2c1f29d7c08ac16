"""Losses of matching priors and conditionals (MPCC; Astorga 2021, section 7.2).

D_KL(p(x, z, y) || q(x, z, y)) falls into three (eq. 7.11): that images are like real ones, which an
adversary judges (loss I); that an encoder finds the latents, and the mixture their class (II); and
the entropy of the prior (III).
"""

__all__ = ["class_surprise", "deceive", "latent_surprise", "prior_regulariser", "tell_apart",
           "unevenness"]

import numpy as np
import tensorflow as tf


def tell_apart(real, made):
    """Loss I of the discriminator, the hinge loss (eq. 7.12): a scalar.

    ``real`` and ``made`` are what it says of real and of generated images, [N] each.
    """
    return tf.reduce_mean(tf.nn.relu(1.0 - real)) + tf.reduce_mean(tf.nn.relu(1.0 + made))


def deceive(made):
    """Loss I of generator and prior (eq. 7.12): a scalar."""
    return -tf.reduce_mean(made)


def latent_surprise(latent, mean, scale):
    """-log q(z | x) for a diagonal Gaussian (eq. 7.13).

    Parameters are [N, J] each: the latents that images were made from, and what the encoder makes
    of the images.  Returns [N] [nats].
    """
    return tf.reduce_sum(0.5 * tf.square((latent - mean) / scale) + tf.math.log(scale)
                         + 0.5 * np.log(2 * np.pi), axis=-1)


def class_surprise(classes, log_membership):
    """-log q(y | z) of the class that a latent was drawn from (eq. 7.14).

    Parameters:
        classes:            One-hot, [N, K].
        log_membership:     log q(y = k | z), [N, K].

    Returns [N] [nats].
    """
    return -tf.reduce_sum(classes * log_membership, axis=-1)


def prior_regulariser(weights, deviation, per_dimension=True):
    """Loss III: negative entropies of the classes and, on average, of their components (eq. 7.16).

    Parameters:
        weights:        phi, [N, K] or [1, K].
        deviation:      Standard deviations of the components, [N, K, J] or [1, K, J].
        per_dimension:  Whether the second is divided by J, as section 8.1.4 has it.

    Returns a scalar, the mean over rows.
    """
    classes = tf.reduce_sum(weights * tf.math.log(weights), axis=-1)
    each = 0.5 + 0.5 * np.log(2 * np.pi) + tf.math.log(deviation)
    of_components = tf.reduce_sum(each, axis=-1)
    if per_dimension:
        of_components /= deviation.shape[-1]
    return tf.reduce_mean(classes - tf.reduce_sum(weights * of_components, axis=-1))


def unevenness(changes):
    """How unlike each other changes of images are, where latents all move equally far: a scalar.

    ln(<d^2> / <d>^2) of squared differences d, [N], not all zero; zero where all are the same,
    whatever their size.  A generator that leaps from one kind of image to another has a few large d
    among many small ones.  Akin to the path length regularisation of Karras et al. 2020 (StyleGAN2,
    eq. 4); but of finite steps, so that no leap is too sharp to be noticed, and of any scale.
    """
    return (tf.math.log(tf.reduce_mean(tf.square(changes)))
            - 2.0 * tf.math.log(tf.reduce_mean(changes)))
