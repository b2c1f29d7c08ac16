"""The masked autoregressive flow of the paper (section 4.2.2).

Densities take one pass, samples as many as the latent has numbers: for modules that are sampled in
bulk the kinds ``coupling`` and ``spline`` are faster.
"""

__all__ = ["MAF", "sees"]

import numpy as np
import tensorflow as tf

from ...bounds import Channels, Layers
from .base import Conditioner, Flow, bounded, tfb


class MAF(Flow):
    """Masked autoregressive layers (eqs. 13 to 15; Papamakarios et al. 2017).

    In each layer number i is shifted and scaled by functions of the numbers before it and of the
    context.  Between layers the order is shuffled at random and reversed, in turn.

    Parameters:
        latent_size:    Dimension L.
        layers:         How many autoregressive layers.
        hidden:         Units of the two masked hidden layers of each.
        seed:           Draws the shuffles.
    """

    def __init__(self, latent_size, layers: Layers = 8, hidden: Channels = 256, seed=0):
        super().__init__(latent_size)
        rng = np.random.default_rng(seed)
        self.permutations = [
            rng.permutation(latent_size).astype(np.int32) if number % 2 == 0
            else np.arange(latent_size, dtype=np.int32)[::-1].copy()
            for number in range(layers - 1)]
        masks = sees(latent_size, (hidden, hidden), 2)
        self.conditioners = [
            Conditioner((hidden, hidden), 2 * latent_size, masks) for _ in range(layers)]

    def build(self, context_shape):
        for conditioner in self.conditioners:
            conditioner.build((None, self.latent_size), context_shape)
        super().build(context_shape)

    def _layer(self, conditioner, context):
        def shift_and_log_scale(z):
            shift, log_scale = tf.unstack(
                tf.reshape(conditioner(z, context), [-1, self.latent_size, 2]), axis=-1)
            return shift, bounded(log_scale)

        return tfb.MaskedAutoregressiveFlow(shift_and_log_scale, name="autoregressive")

    def steps(self, context):
        steps = []
        for number, conditioner in enumerate(self.conditioners):
            if number:
                steps.append(tfb.Permute(self.permutations[number - 1], name="permute"))
            steps.append(self._layer(conditioner, context))
        return steps


def sees(size, hidden, outputs):
    """Which input each unit of an autoregressive network may see (Germain et al. 2015).

    A hidden unit of degree d sees the first d of the numbers; degrees run evenly from none to all
    but the last.  Number i is mapped by what units up to degree i (counted from zero) say: the
    first by the context alone.

    Parameters:
        size:           Numbers that go in, L.
        hidden:         Units of the hidden layers.
        outputs:        Parameters for each number; they are neighbours in the output.

    Returns:
        a list with a bool array [inputs, units] for each layer.
    """
    # A number that goes in is known to units of the next degree only.
    degrees = [np.arange(1, size + 1)]
    degrees += [np.arange(units) * size // units for units in hidden]
    degrees.append(np.repeat(np.arange(size), outputs))
    return [before[:, None] <= after for before, after in zip(degrees, degrees[1:], strict=False)]
