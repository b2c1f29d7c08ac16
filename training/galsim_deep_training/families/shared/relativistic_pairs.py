"""The adversarial loss of relativistic pairs, with a penalty of the discriminator's gradient.

Jolicoeur-Martineau 2019 (arXiv:1807.00734); penalties R1 and R2 as in Huang et al. 2024
(arXiv:2501.05441).
"""

__all__ = ["gradient_penalty", "pair_loss"]

from collections.abc import Callable

import tensorflow as tf


def pair_loss(scores: tf.Tensor, other_scores: tf.Tensor) -> tf.Tensor:
    """Loss of pairs of images, of which the first should have the higher score.

    For the discriminator the first ones are real, for the generator the generated ones.

    Parameters:
        scores:         Scores that should be higher, [N].
        other_scores:   Scores that should be lower, [N].

    Returns:
        a scalar.

    >>> round(float(pair_loss(tf.constant([1.0]), tf.constant([1.0]))), 4)
    0.6931
    """
    return tf.reduce_mean(tf.nn.softplus(other_scores - scores))


def gradient_penalty(discriminate: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor,
                     normal: tf.Tensor, sigma: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean squared gradient of a discriminator, estimated from a random perturbation of its input.

    Parameters:
        discriminate:   A function: images [2 N, ...] -> scores [2 N].  The second half are the
                        perturbed images, in the same order.
        images:         [N, ...].
        normal:         As many standard normal numbers for each image as it has, [N, ...].
        sigma:          Size of the perturbation.

    Returns:
        (the penalty, a scalar; scores of the images, [N]).

    >>> penalty, scores = gradient_penalty(lambda x: 3.0 * x, tf.ones([4]), tf.ones([4]), 0.1)
    >>> round(float(penalty), 3)
    9.0
    """
    moved = images + sigma * tf.reshape(normal, tf.shape(images))
    scores, perturbed = tf.split(discriminate(tf.concat([images, moved], axis=0)), 2)
    return tf.reduce_mean(tf.square((perturbed - scores) / sigma)), scores
