"""Conditional normalizing flows on the latent (Lanusse et al. 2021, section 3.3).

A flow is a function of the context that returns a TensorFlow Probability distribution, so sampling
(one pass) and log densities come from the same bijectors.
"""

__all__ = ["CouplingFlow"]

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from .blocks import dense

tfb, tfd = tfp.bijectors, tfp.distributions


class CouplingFlow(keras.Model):
    """Affine coupling layers with random permutations between them (Real NVP, Dinh et al. 2017).

    z = T(u; context), u ~ N(0, 1).  Both directions take one pass, unlike an autoregressive flow.

    Parameters:
        latent_size:    Dimension L.
        layers:         How many couplings.
        hidden:         Units of the two hidden layers of each.
        seed:           Draws the permutations.
    """

    # Bound of |ln scale| in one coupling: keeps the inverse stable.
    _bound = 2.0

    def __init__(self, latent_size, layers=10, hidden=128, seed=0):
        super().__init__(name="flow")
        self.latent_size = latent_size
        self.kept = latent_size // 2
        rng = np.random.default_rng(seed)
        self.permutations = [rng.permutation(latent_size).astype(np.int32) for _ in range(layers)]
        # Zero output at the start: the flow begins as the identity.
        self.conditioners = [
            dense(2 * (latent_size - self.kept), (hidden, hidden), last="zeros")
            for _ in range(layers)]

    def build(self, context_shape):
        for conditioner in self.conditioners:
            conditioner.build((None, self.kept + context_shape[-1]))
        super().build(context_shape)

    def _coupling(self, conditioner, context):
        def shift_and_scale(x, units, **_):
            shift, raw = tf.split(conditioner(tf.concat([x, context], axis=-1)), 2, axis=-1)
            return tfb.Shift(shift)(tfb.Scale(log_scale=self._bound * tf.tanh(raw / self._bound)))

        return tfb.RealNVP(num_masked=self.kept, bijector_fn=shift_and_scale, name="coupling")

    def call(self, context):
        """The distribution of the latent given standardised columns, [N, C] -> batch N, event L."""
        steps = []
        for permutation, conditioner in zip(self.permutations, self.conditioners, strict=True):
            steps += [tfb.Permute(permutation, name="permute"),
                      self._coupling(conditioner, context)]
        base = tfd.MultivariateNormalDiag(
            tf.zeros([tf.shape(context)[0], self.latent_size]),
            tf.ones([self.latent_size]))
        # By default a chain spells out all of its parts in the name of every operation, which then
        # makes most of an exported module.
        return tfd.TransformedDistribution(base, tfb.Chain(steps, name="chain"), name="flow")

    def transform(self, normal, context):
        """Map standard normal numbers [N, L] to latents [N, L]."""
        return self(context).bijector.forward(normal)
