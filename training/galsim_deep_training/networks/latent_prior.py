"""The distribution of a latent given the columns: of the vector, and of the details given it."""

__all__ = ["LatentPrior"]

import keras
import tensorflow as tf


class LatentPrior(keras.Model):
    """p(vector | columns) p(details | vector, columns), a flow each (Lanusse et al. 2021, eq. 12).

    Parameters:
        vector:     The `flows.base.Flow` of the vector.
        details:    That of the maps.  [default: None, there are none]
    """

    def __init__(self, vector, details=None):
        super().__init__(name="prior", dtype="float32")
        self.flows = [vector] if details is None else [vector, details]

    @property
    def sizes(self):
        """How many numbers the vector and the details have."""
        return [flow.latent_size for flow in self.flows]

    def call(self, normal, context):
        """Map standard normal numbers [N, L] to latents [N, L], with columns [N, C]."""
        parts = []
        for flow, part in zip(self.flows, tf.split(normal, self.sizes, axis=-1), strict=True):
            parts.append(flow.transform(part, context))
            context = tf.concat([context, parts[-1]], axis=-1)
        return tf.concat(parts, axis=-1)

    def log_prob(self, latent, context, blur=0.0):
        """Log density of latents [N, L] given columns [N, C]: [N].

        With ``blur`` added to the vector as the flow of the details sees it, a number or [N, V].
        """
        parts = tf.split(latent, self.sizes, axis=-1)
        found = self.flows[0](context).log_prob(parts[0])
        if len(parts) > 1:
            seen = tf.concat([context, parts[0] + blur], axis=-1)
            found += self.flows[1](seen).log_prob(parts[1])
        return found
