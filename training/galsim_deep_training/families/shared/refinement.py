"""Gradient ascent from the latents that an encoder infers to the maximum of their posterior.

An encoder infers latents in one pass, and its error grows with the signal-to-noise ratio of the
galaxy relative to the width of the posterior.  The maximum is that of the likelihood of the stamp,
through its PSF and noise, times the standard normal prior.
"""

__all__ = ["refine"]

from collections.abc import Callable, Mapping

import tensorflow as tf

from ...physics.convolution import convolve, psf_transfer
from ...physics.likelihood import fourier_chi_square


def refine(decode: Callable[[tf.Tensor], tf.Tensor], start: tf.Tensor, unit: tf.Tensor,
           observed: Mapping[str, tf.Tensor], noise_power: tf.Tensor, steps: int, fixed: int = 0,
           rate: float = 0.2) -> tf.Tensor:
    """Maximise the posterior of the latents with Adam (Kingma & Ba 2014, arXiv:1412.6980).

    Galaxies are refined at the same time, and independently of each other.

    Parameters:
        decode:         A function: latents [N, K] -> light profiles before PSF [N, S, S].
        start:          Latents to start from, [N, K].
        unit:           Scale of the steps, [N, K]: about the expected error of the start.
        observed:       A dict of ``stamp`` [N, S, S], ``psf`` [N, P, P] and ``noise_sigma`` [N].
        noise_power:    Power of the noise over that of white noise, [1, S, S/2 + 1].
        steps:          Number of steps.
        fixed:          Number of latents, the first ones, that are not changed and have no prior.
        rate:           Length of the first steps in units of ``unit``; it falls linearly to zero.

    Returns:
        the latents of highest posterior among all steps, for each galaxy, [N, K].
    """
    stamps, sigma = observed["stamp"], observed["noise_sigma"]
    transfer = psf_transfer(observed["psf"], stamps.shape[1])
    free = tf.cast(tf.range(start.shape[1]) >= fixed, tf.float32)
    unit = unit * free

    def negative_log_posterior(latent):
        models = convolve(decode(latent), transfer)
        return 0.5 * (fourier_chi_square(stamps, models, sigma, noise_power)
                      + tf.reduce_sum(tf.square(free * latent), axis=-1))

    def update(step, moved, first, second, best, least):
        with tf.GradientTape() as tape:
            tape.watch(moved)
            latent = start + unit * moved
            value = negative_log_posterior(latent)
        better = value < least
        best = tf.where(better[:, None], latent, best)
        least = tf.where(better, value, least)
        gradient = tape.gradient(value, moved)
        count = tf.cast(step, tf.float32) + 1.0
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * tf.square(gradient)
        slope = first / (1 - 0.9**count) / (tf.sqrt(second / (1 - 0.99**count)) + 1e-8)
        moved -= rate * (1 - count / (steps + 1)) * slope
        return step + 1, moved, first, second, best, least

    zeros = tf.zeros_like(start)
    state = tf.while_loop(
        lambda step, *_: step < steps, update,
        (tf.constant(0), zeros, zeros, zeros, start, tf.fill(tf.shape(start)[:1], 1e30)))
    moved, best, least = state[1], state[4], state[5]
    last = start + unit * moved
    return tf.where((negative_log_posterior(last) < least)[:, None], last, best)
