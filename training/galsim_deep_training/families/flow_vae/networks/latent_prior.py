"""Prior of the latents of a Flow-VAE: normalizing flows of the latent vector and of the details."""

__all__ = ["FlowPrior"]

import keras
import tensorflow as tf

from ....networks.flows.base import Flow


class FlowPrior(keras.Model):
    """p(vector | conditions) p(details | vector, conditions), with a normalizing flow for each.

    The latent of a galaxy is its vector followed by its details, the flattened latent maps.
    Lanusse et al. 2021 (arXiv:2008.03833), eq. 12, for the vector.

    Parameters:
        vector:     The `Flow` of the vector.
        details:    The `Flow` of the details.  [default: no details]

    >>> from galsim_deep_training.networks.flows.affine_coupling import AffineCouplingFlow
    >>> settings = AffineCouplingFlow.Settings(layers=2, hidden=8)
    >>> prior = FlowPrior(AffineCouplingFlow(settings, latent_size=4))
    >>> prior(tf.ones([3, 4]), conditions=tf.ones([3, 2])).shape
    TensorShape([3, 4])
    """

    def __init__(self, vector: Flow, details: Flow | None = None) -> None:
        super().__init__(name="prior", dtype="float32")
        self.flows = [vector] if details is None else [vector, details]

    @property
    def sizes(self) -> list[int]:
        """Dimension of the vector and, if there are details, theirs."""
        return [flow.latent_size for flow in self.flows]

    def call(self, normal: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Transform standard normal numbers [N, L] to latents [N, L], given conditions [N, C]."""
        parts: list[tf.Tensor] = []
        for flow, part in zip(self.flows, tf.split(normal, self.sizes, axis=-1), strict=True):
            parts.append(flow.transform(part, conditions))
            conditions = tf.concat([conditions, parts[-1]], axis=-1)
        return tf.concat(parts, axis=-1)

    def log_prob(self, latent: tf.Tensor, conditions: tf.Tensor,
                 blur: float | tf.Tensor = 0.0) -> tf.Tensor:
        """Log-density of latents.

        Parameters:
            latent:         [N, L].
            conditions:     Standardised columns, [N, C].
            blur:           Noise that is added to the vector in its role as a condition of the
                            details, [N, V].  [default: none]

        Returns:
            [N] [nats].
        """
        parts = tf.split(latent, self.sizes, axis=-1)
        log_density = self.flows[0](conditions).log_prob(parts[0])
        if len(parts) > 1:
            blurred = tf.concat([conditions, parts[0] + blur], axis=-1)
            log_density += self.flows[1](blurred).log_prob(parts[1])
        return log_density
