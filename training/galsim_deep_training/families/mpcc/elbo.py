"""The evidence lower bound of MPCC as a variational autoencoder, with a mixture as its prior."""

__all__ = ["Elbo", "aligned"]

import tensorflow as tf

from ...fitting.phase import Batch
from ...physics.convolution import convolve, psf_transfer
from ...physics.likelihood import error_floor_weight, fourier_chi_square
from .losses import latent_negative_log_likelihood
from .model import MPCCModel
from .simulator import displaced

SHIFT_SCALE = 0.3
"""Expected shift of a centroid along each axis [pixels]."""
LARGEST_SHIFT = 1.0
"""Largest shift along each axis [pixels]."""
FLUX_SCALE = 0.05
"""Expected error of the logarithm of a flux."""
SMALLEST_SHARE = 1e-6
"""Smallest share of a class in a batch."""


class Elbo:
    """How well encoder and generator reproduce observed stamps, through their PSF and noise.

    The latent is drawn from the posterior of the encoder, and the class is marginalised, as in
    variational deep embedding (Jiang et al. 2017, arXiv:1611.05148): with p(z) = sum_k p(k) p(z |
    k), the KL divergence is that of q(z | x) from p(z), and the generator gets the probabilities
    q(k | z) as its class.

    Parameters:
        family:         The model; its classes are not labels.
        free_bits:      KL divergence of a galaxy that is not penalised [nats].
        model_error:    Relative error of a profile, per pixel, that is tolerated; see
                        `physics.likelihood.error_floor_weight`.

    Example::

        >>> from galsim_deep_training.families import make_family
        >>> from galsim_deep_training.recipe import read_recipe
        >>> family = make_family(read_recipe("training/recipes/acs_mpcc.yaml"))
        >>> elbo = Elbo(family, free_bits=20.0, model_error=0.1)
        >>> batch = dict(stamp=tf.ones([2, 128, 128]), psf=tf.ones([2, 65, 65]) / 65**2,
        ...              noise_sigma=tf.ones([2]), noise_power=tf.ones([1, 128, 65]),
        ...              **family.example_columns(2))
        >>> loss, scalars = elbo(batch, tf.zeros([2, 32]), batchwise=True)
        >>> loss.shape, sorted(scalars)
        (TensorShape([]), ['chi_square', 'kl', 'unbalance'])
    """

    def __init__(self, family: MPCCModel, free_bits: float, model_error: float) -> None:
        self.family, self.free_bits, self.model_error = family, free_bits, model_error

    def __call__(self, batch: Batch, normal: tf.Tensor, beta: tf.Tensor | float = 1.0,
                 balance: float = 0.0, training: bool = False, batchwise: bool = False
                 ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The negative bound.

        Parameters:
            batch:      Stamps, PSFs, noise and columns.
            normal:     Standard normal numbers, from which latents are drawn, [N, J].
            beta:       Weight of the KL divergence.
            balance:    Weight of the KL divergence of the mean q(k | z) of the batch from p(k),
                        where each galaxy counts by its KL divergence.  Without it, some classes may
                        never be used.
            training, batchwise:    As for `Generator.call`.

        Returns:
            (the mean over the batch [nats], a dict of scalars to log).
        """
        family, stamps, sigma = self.family, batch["stamp"], batch["noise_sigma"]
        pixels = stamps.shape[1] * stamps.shape[2]
        views, position_angle_latents = family.canvas.view(stamps, batch["psf"], sigma, batch)
        conditions = family.network_conditions(batch, tf.shape(stamps)[0])
        mean, scale = family.encode_views(views, conditions, training=training)
        latent = mean + scale * normal
        shares = tf.convert_to_tensor(family.training_set.class_shares)
        joint = tf.math.log(shares) + family.prior.log_densities(latent, conditions)
        kl = (-latent_negative_log_likelihood(latent, mean, scale)
              - tf.reduce_logsumexp(joint, axis=-1))
        classes = tf.nn.softmax(joint)
        # Without noise of the generator: details that are not inferred are not reproduced.
        profiles = family.generate(latent, classes, position_angle_latents, batch,
                                   training=training, batchwise=batchwise)
        models = aligned(
            convolve(profiles, psf_transfer(batch["psf"], stamps.shape[1])), stamps, sigma)
        chi = fourier_chi_square(stamps, models, sigma, batch["noise_power"])
        weight = 1.0
        if self.model_error:
            weight = tf.stop_gradient(error_floor_weight(
                models, sigma, family.recipe.half_light_radius(batch), self.model_error))
        # Less the expectation for the true profile.
        loss = tf.reduce_mean(weight * 0.5 * (chi - pixels)
                              + beta * tf.maximum(kl, self.free_bits))
        # Galaxies of which nothing is inferred, such as faint ones, do not count: classes should be
        # used equally by those that can be told apart.
        informed = tf.stop_gradient(tf.nn.relu(kl)[:, None])
        used = tf.maximum(SMALLEST_SHARE, tf.math.divide_no_nan(
            tf.reduce_sum(informed * classes, axis=0), tf.reduce_sum(informed)))
        unbalance = tf.reduce_sum(used * tf.math.log(used / shares[0]))
        return loss + balance * unbalance, dict(
            chi_square=tf.reduce_mean(chi) / pixels, kl=tf.reduce_mean(kl), unbalance=unbalance)


def aligned(models: tf.Tensor, stamps: tf.Tensor, noise_sigma: tf.Tensor) -> tf.Tensor:
    """Shift models to the centroids of observed galaxies, and scale them to their fluxes.

    Both are known of observed galaxies to a fraction of a pixel and some per cent only.  They are
    fitted by linear least squares, with Gaussian priors, and have no gradient.

    Parameters:
        models:         Noiseless models, [N, S, S].
        stamps:         Observed stamps, [N, S, S].
        noise_sigma:    Standard deviation of the noise in a pixel, [N].

    Returns:
        [N, S, S].

    >>> x = tf.range(-16.0, 16.0)
    >>> model = tf.exp(-0.02 * (x[:, None]**2 + x**2))[None]
    >>> observed = 1.02 * displaced(model, tf.constant([[0.2, -0.1]]))
    >>> moved = aligned(model, observed, tf.constant([0.001]))
    >>> float(tf.reduce_max(tf.abs(moved - observed))) < 0.002
    True
    """
    along_x, along_y = (0.5 * (tf.roll(models, 1, axis) - tf.roll(models, -1, axis))
                        for axis in (2, 1))
    basis = tf.stack([along_x, along_y, models], axis=1) / noise_sigma[:, None, None, None]
    residual = (stamps - models) / noise_sigma[:, None, None]
    matrix = tf.einsum("nixy,njxy->nij", basis, basis) + tf.linalg.diag(
        [SHIFT_SCALE**-2, SHIFT_SCALE**-2, FLUX_SCALE**-2])
    best = tf.linalg.solve(matrix, tf.einsum("nixy,nxy->ni", basis, residual)[..., None])[..., 0]
    best = tf.stop_gradient(best)
    shift = tf.clip_by_value(best[:, :2], -LARGEST_SHIFT, LARGEST_SHIFT)
    factor = tf.exp(tf.clip_by_value(best[:, 2], -4 * FLUX_SCALE, 4 * FLUX_SCALE))
    return displaced(models, shift) * factor[:, None, None]
