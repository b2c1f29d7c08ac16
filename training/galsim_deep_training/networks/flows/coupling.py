"""Affine coupling layers (Real NVP, Dinh et al. 2017): one pass in both directions."""

__all__ = ["Coupling", "CouplingFlow", "Couplings"]

import abc

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError

from ...bounds import Channels, Layers
from .base import Conditioner, Flow, bounded, tfb


class Couplings(Flow):
    """Couplings of any sort, with random permutations between them.

    A coupling leaves the first half of its numbers as they are and maps each of the others by a
    function of one variable, whose parameters depend on the first half and the context.

    Parameters:
        latent_size:    Dimension L, at least 2.
        layers:         How many couplings.
        hidden:         Units of the two hidden layers of each.
        parameters:     Parameters of the function of one variable.
        seed:           Draws the permutations.
    """

    def __init__(self, latent_size, layers, hidden, parameters, seed):
        if latent_size < 2:
            raise GalSimConfigError(
                f"A flow of couplings needs a latent of two numbers or more, not {latent_size}; "
                "take the kind 'maf'.")
        super().__init__(latent_size)
        self.kept = latent_size // 2
        self.parameters = parameters
        rng = np.random.default_rng(seed)
        self.permutations = [rng.permutation(latent_size).astype(np.int32) for _ in range(layers)]
        self.conditioners = [
            Conditioner((hidden, hidden), parameters * (latent_size - self.kept))
            for _ in range(layers)]

    def build(self, context_shape):
        for conditioner in self.conditioners:
            conditioner.build((None, self.kept), context_shape)
        super().build(context_shape)

    @abc.abstractmethod
    def scalar_bijector(self, raw):
        """The functions of one variable, from raw numbers [N, L - kept, parameters]."""

    def _coupling(self, conditioner, context):
        def scalar_bijector(kept):
            raw = conditioner(kept, context)
            return self.scalar_bijector(
                tf.reshape(raw, [-1, self.latent_size - self.kept, self.parameters]))

        return Coupling(self.kept, scalar_bijector)

    def steps(self, context):
        steps = []
        for permutation, conditioner in zip(self.permutations, self.conditioners, strict=True):
            steps += [tfb.Permute(permutation, name="permute"),
                      self._coupling(conditioner, context)]
        return steps


class Coupling(tfb.Bijector):
    """[x0, x1] -> [x0, f(x1; x0)], f acting on each number apart; or the other way round.

    As `tfb.RealNVP`, but what the network says about a tensor is worked out once for the map and
    its determinant, which halves the cost of a density.

    Parameters:
        kept:               Length of x0.
        scalar_bijector:    x0 [N, kept] -> the bijector f.
        last:               Whether x0 is the end of the vector, not its beginning.
    """

    def __init__(self, kept, scalar_bijector, last=False, name="coupling"):
        parameters = dict(locals())
        self.kept, self.scalar_bijector, self.last = kept, scalar_bijector, last
        self._known = None
        super().__init__(forward_min_event_ndims=1, dtype=tf.float32, parameters=parameters,
                         name=name)

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def _parts(self, whole):
        if self._known is None or self._known[0] is not whole:
            edge = whole.shape[-1] - self.kept if self.last else self.kept
            parts = whole[..., :edge], whole[..., edge:]
            kept, moved = parts[::-1] if self.last else parts
            self._known = whole, kept, moved, self.scalar_bijector(kept)
        return self._known[1:]

    def _joined(self, kept, moved):
        return tf.concat([moved, kept] if self.last else [kept, moved], axis=-1)

    def _forward(self, x):
        kept, moved, scalar = self._parts(x)
        return self._joined(kept, scalar.forward(moved))

    def _inverse(self, y):
        kept, moved, scalar = self._parts(y)
        return self._joined(kept, scalar.inverse(moved))

    def _forward_log_det_jacobian(self, x):
        _, moved, scalar = self._parts(x)
        return scalar.forward_log_det_jacobian(moved, event_ndims=1)

    def _inverse_log_det_jacobian(self, y):
        _, moved, scalar = self._parts(y)
        return scalar.inverse_log_det_jacobian(moved, event_ndims=1)


class CouplingFlow(Couplings):
    """Affine couplings: the function of one variable is a shift and a scale.

    Parameters:
        latent_size:    Dimension L.
        layers:         How many couplings.
        hidden:         Units of the two hidden layers of each.
        seed:           Draws the permutations.
    """

    def __init__(self, latent_size, layers: Layers = 10, hidden: Channels = 128, seed=0):
        super().__init__(latent_size, layers, hidden, 2, seed)

    def scalar_bijector(self, raw):
        shift, log_scale = tf.unstack(raw, axis=-1)
        return tfb.Shift(shift)(tfb.Scale(log_scale=bounded(log_scale)))
