"""Masked autoregressive flows, for any univariate transformation.

Papamakarios et al. 2017 (arXiv:1705.07057); Lanusse et al. 2021 (arXiv:2008.03833), eqs. 13 to 15.
Densities take a single pass through the networks, samples take as many as the latent has
dimensions. For modules that are sampled in bulk, coupling flows are faster.
"""

__all__ = ["AutoregressiveFlow", "autoregressive_masks"]

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow_probability import bijectors as tfb

from .base import UnivariateFlow
from .conditioner import Conditioner
from .transforms import UnivariateTransform


class AutoregressiveFlow(UnivariateFlow):
    """Masked autoregressive layers with permutations of the dimensions between them.

    A layer applies a univariate function to each dimension, whose parameters depend on the
    dimensions before it and on the conditions. The permutations are random and reversing, in turn.

    Parameters:
        univariate:     The family of functions, a `UnivariateTransform`.
        latent_size:    Dimension of the latent, L.
        layers:         Number of autoregressive layers.
        hidden:         Units of each of the two masked hidden layers of a conditioner.
        seed:           Determines the random permutations.

    >>> from galsim_deep_training.networks.flows.transforms import AffineTransform
    >>> flow = AutoregressiveFlow(AffineTransform(), latent_size=4, layers=2, hidden=8)
    >>> flow(tf.ones([3, 1])).log_prob(tf.zeros([3, 4])).shape
    TensorShape([3])
    """

    def __init__(self, univariate: UnivariateTransform, latent_size: int, layers: int, hidden: int,
                 seed: int = 0) -> None:
        masks = autoregressive_masks(latent_size, (hidden, hidden), univariate.parameters)
        conditioners = [Conditioner((hidden, hidden), univariate.parameters * latent_size, masks)
                        for _ in range(layers)]
        super().__init__(univariate, latent_size, latent_size, conditioners, hidden)
        rng = np.random.default_rng(seed)
        self.permutations = [
            rng.permutation(latent_size).astype(np.int32) if number % 2 == 0
            else np.arange(latent_size, dtype=np.int32)[::-1].copy()
            for number in range(layers - 1)]

    def layers_of(self, conditions: tf.Tensor) -> list[tfb.Bijector]:
        layers = []
        for number, conditioner in enumerate(self.conditioners):
            if number:
                layers.append(tfb.Permute(self.permutations[number - 1], name="permute"))
            layers.append(tfb.MaskedAutoregressiveFlow(
                bijector_fn=functools.partial(
                    self.univariate_of, conditioner, conditions=conditions),
                name="autoregressive"))
        return layers


def autoregressive_masks(size: int, hidden: Sequence[int],
                         outputs: int) -> list[NDArray[np.bool_]]:
    """Masks of an autoregressive network (Germain et al. 2015, arXiv:1502.03509).

    Each unit has a degree: i for input number i, counted from 1; evenly distributed from 0 to
    ``size - 1`` for the hidden units; i - 1 for the outputs that belong to number i. A unit is
    connected to units of the layer before it with the same or a smaller degree. Therefore the
    outputs for number i depend on the numbers before it only, and those for the first one on the
    conditions only.

    Parameters:
        size:       Number of inputs, L.
        hidden:     Units of each hidden layer.
        outputs:    Outputs for each input; they are adjacent.

    Returns:
        a bool array [inputs, units] for each layer.

    >>> first, last = autoregressive_masks(size=2, hidden=(2,), outputs=1)
    >>> (first.astype(int) @ last > 0)  # the second output depends on the first input only
    array([[False,  True],
           [False, False]])
    """
    degrees = [np.arange(1, size + 1)]
    degrees += [np.arange(units) * size // units for units in hidden]
    degrees.append(np.repeat(np.arange(size), outputs))
    return [before[:, None] <= after for before, after in zip(degrees, degrees[1:], strict=False)]
