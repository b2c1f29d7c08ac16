"""Coupling flows (Dinh et al. 2017, arXiv:1605.08803), for any univariate transformation.

Samples and densities both take a single pass through the networks.
"""

__all__ = ["CouplingFlow"]

import functools

import numpy as np
import tensorflow as tf
from galsim import GalSimConfigError
from tensorflow_probability import bijectors as tfb

from .base import UnivariateFlow
from .conditioner import Conditioner
from .transforms import CouplingBijector, UnivariateTransform


class CouplingFlow(UnivariateFlow):
    """Coupling layers with random permutations of the dimensions between them.

    A layer keeps the first half of its input and applies a univariate function to each dimension
    of the second half. The parameters of these functions depend on the first half and on the
    conditions.

    Parameters:
        univariate:     The family of functions, a `UnivariateTransform`.
        latent_size:    Dimension of the latent, L, at least 2.
        layers:         Number of coupling layers.
        hidden:         Units of each of the two hidden layers of a conditioner.
        seed:           Determines the permutations.

    Raises a `galsim.GalSimConfigError` for a latent of one dimension.

    >>> from galsim_deep_training.networks.flows.transforms import AffineTransform
    >>> flow = CouplingFlow(AffineTransform(), latent_size=4, layers=2, hidden=8)
    >>> flow.transform(tf.ones([3, 4]), conditions=tf.ones([3, 1])).numpy()
    array([[1., 1., 1., 1.],
           [1., 1., 1., 1.],
           [1., 1., 1., 1.]], dtype=float32)
    """

    def __init__(self, univariate: UnivariateTransform, latent_size: int, layers: int, hidden: int,
                 seed: int = 0) -> None:
        if latent_size < 2:
            raise GalSimConfigError(
                f"A coupling flow needs a latent of two or more dimensions, not {latent_size}; "
                "choose the kind 'masked_autoregressive'.")
        kept = latent_size // 2
        conditioners = [
            Conditioner((hidden, hidden), univariate.parameters * (latent_size - kept))
            for _ in range(layers)]
        super().__init__(univariate, latent_size, kept, conditioners, hidden)
        rng = np.random.default_rng(seed)
        self.permutations = [rng.permutation(latent_size).astype(np.int32) for _ in range(layers)]

    def layers_of(self, conditions: tf.Tensor) -> list[tfb.Bijector]:
        layers = []
        for permutation, conditioner in zip(self.permutations, self.conditioners, strict=True):
            univariate = functools.partial(
                self.univariate_of, conditioner, conditions=conditions)
            layers += [tfb.Permute(permutation, name="permute"),
                       CouplingBijector(self.inputs, univariate)]
        return layers
