"""From the latents that an encoder guesses to the most probable ones.

An encoder answers in one pass and is never quite right, the less so the more a galaxy shows.  Its
answer is a good start for climbing to the maximum of the posterior, through PSF and noise.
"""

__all__ = ["refine"]

import tensorflow as tf

from ...physics.convolution import convolve, psf_transfer
from ...physics.likelihood import fourier_chi_square


def refine(decode, start, unit, observed, noise_power, steps, held=0, rate=0.2):
    """Climb to the maximum of the posterior of the latents, with Adam.

    Parameters:
        decode:         A function: latents [N, L] -> light profiles [N, S, S].
        start:          Latents to start from, [N, L].
        unit:           Of the steps, [N, L]; about how far off the start may be.
        observed:       A dict of ``stamp`` [N, S, S], ``psf`` [N, P, P] and ``noise_sigma`` [N].
        noise_power:    Power of the noise over that of white noise, [1, S, S/2 + 1].
        steps:          How many steps; the galaxies are refined at the same time, and independently
                        of each other.
        held:           How many latents, the first ones, stay as they are: those that are measured
                        and not inferred.
        rate:           Length of the first steps, in their units; it falls to nothing.

    Returns:
        the latents, [N, L]: of each galaxy the best that was met.
    """
    stamps, sigma = observed["stamp"], observed["noise_sigma"]
    transfer = psf_transfer(observed["psf"], stamps.shape[1])
    free = tf.cast(tf.range(start.shape[1]) >= held, tf.float32)
    unit = unit * free

    def negative_log_likelihood(latent):
        models = convolve(decode(latent), transfer)
        return 0.5 * (fourier_chi_square(stamps, models, sigma, noise_power)
                      + tf.reduce_sum(tf.square(free * latent), axis=-1))

    def step(number, moved, first, second, best, least):
        with tf.GradientTape() as tape:
            tape.watch(moved)
            latent = start + unit * moved
            value = negative_log_likelihood(latent)
        better = value < least
        best = tf.where(better[:, None], latent, best)
        least = tf.where(better, value, least)
        gradient = tape.gradient(value, moved)
        count = tf.cast(number, tf.float32) + 1.0
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * tf.square(gradient)
        slope = first / (1 - 0.9**count) / (tf.sqrt(second / (1 - 0.99**count)) + 1e-8)
        moved -= rate * (1 - count / (steps + 1)) * slope
        return number + 1, moved, first, second, best, least

    nothing = tf.zeros_like(start)
    state = tf.while_loop(
        lambda number, *_: number < steps, step,
        (tf.constant(0), nothing, nothing, nothing, start, tf.fill(tf.shape(start)[:1], 1e30)))
    moved, best, least = state[1], state[4], state[5]
    last = start + unit * moved
    return tf.where((negative_log_likelihood(last) < least)[:, None], last, best)
