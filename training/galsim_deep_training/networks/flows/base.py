"""Conditional normalizing flows: a `Flow` called with conditions is a distribution."""

__all__ = ["Flow", "MapFlow", "UnivariateFlow"]

from collections.abc import Sequence

import keras
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from ...registry import Registered
from ..blocks import Shape
from .conditioner import Conditioner
from .transforms import UnivariateTransform, affine


class Flow(Registered, keras.Model, label="flow"):
    """Conditional normalizing flow: z = T(u; conditions) with standard normal u.

    A flow is a function of the conditions that returns the distribution p(z | conditions). Samples
    and densities use the same bijectors (Lanusse et al. 2021, arXiv:2008.03833, eqs. 11 and 12).
    The weights are created by the first call or by ``build((None, C))``. Before training, T only
    permutes the dimensions.

    All computations are float32 whatever the precision of the fit, since the log-density is a sum
    of many terms that cancel.

    A subclass with ``kind=NAME`` can be chosen in recipes; it is called with its ``Settings`` and
    the dimension of the latent, and implements `transforms`.

    Parameters:
        latent_size:    Dimension of the latent, L.

    >>> from galsim_deep_training.networks.flows.affine_coupling import AffineCouplingFlow
    >>> flow = AffineCouplingFlow(AffineCouplingFlow.Settings(layers=2, hidden=8), latent_size=4)
    >>> distribution = flow(tf.ones([3, 1]))
    >>> distribution.sample(seed=(1, 2)).shape
    TensorShape([3, 4])
    >>> distribution.log_prob(tf.zeros([3, 4])).numpy().round(3)
    array([-3.676, -3.676, -3.676], dtype=float32)
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__(name="flow", dtype="float32")
        self.latent_size = latent_size

    def transforms(self, conditions: tf.Tensor) -> list[tfb.Bijector]:
        """The bijectors whose composition is T, given conditions [N, C]; the last acts first."""
        raise NotImplementedError

    def bijector(self, conditions: tf.Tensor) -> tfb.Bijector:
        """The transformation T of standard normal numbers to latents, given conditions [N, C]."""
        # Without a name, a chain repeats the names of all its parts in the name of every operation,
        # which would make up most of an exported module.
        return tfb.Chain(self.transforms(conditions), name="chain")

    def call(self, conditions: tf.Tensor) -> tfd.Distribution:
        """The distribution of latents given conditions [N, C]: batch shape [N], event shape [L]."""
        base = tfd.MultivariateNormalDiag(
            tf.zeros([tf.shape(conditions)[0], self.latent_size]),
            tf.ones([self.latent_size]))
        return tfd.TransformedDistribution(base, self.bijector(conditions), name="flow")

    def transform(self, normal: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
        """Transform standard normal numbers [N, L] to latents [N, L], given conditions [N, C]."""
        return self(conditions).bijector.forward(normal)


class MapFlow(Flow, Registered, label="flow of maps"):
    """A `Flow` of flattened maps of latents at several resolutions.

    A subclass is called with its ``Settings`` and the shapes of the maps.

    >>> from galsim_deep_training.networks.flows.map_coupling import MapCouplingFlow
    >>> flow = MapCouplingFlow(MapCouplingFlow.Settings(layers=2), shapes=[(2, 2, 3)])
    >>> isinstance(flow, MapFlow), flow.latent_size
    (True, 12)
    """


class UnivariateFlow(Flow):
    """A flow of several layers, each of which transforms dimensions by univariate functions.

    If these functions are the identity outside of an interval, as splines are, a final affine
    transformation of all dimensions depends on the conditions, so that latents may lie anywhere.

    Parameters:
        univariate:     The family of functions, a `UnivariateTransform`.
        latent_size:    Dimension of the latent, L.
        inputs:         Dimension of the input of a conditioner.
        conditioners:   A network for each layer.
        hidden:         Units of the hidden layer of the final affine transformation.

    Subclasses implement `layers_of`; see `CouplingFlow` for an example.

    >>> kinds = [Flow.named(kind) for kind in ("affine_coupling", "spline_coupling")]
    >>> flows = [kind(kind.Settings(layers=3), latent_size=4) for kind in kinds]
    >>> [(len(flow.conditioners), flow.final is None) for flow in flows]
    [(3, True), (3, False)]
    """

    def __init__(self, univariate: UnivariateTransform, latent_size: int, inputs: int,
                 conditioners: Sequence[Conditioner], hidden: int) -> None:
        super().__init__(latent_size)
        self.univariate, self.inputs = univariate, inputs
        self.conditioners = conditioners
        self.final = Conditioner((hidden,), 2 * latent_size) if univariate.is_local else None

    def build(self, conditions_shape: Shape) -> None:
        if self.final is not None:
            self.final.build((None, 0), conditions_shape)
        for conditioner in self.conditioners:
            conditioner.build((None, self.inputs), conditions_shape)
        super().build(conditions_shape)

    def univariate_of(self, conditioner: Conditioner, x: tf.Tensor,
                      conditions: tf.Tensor) -> tfb.Bijector:
        """The univariate functions of a layer, with parameters computed from x and conditions."""
        return self.univariate(tf.reshape(
            conditioner(x, conditions),
            [-1, conditioner.widths[-1] // self.univariate.parameters, self.univariate.parameters]))

    def layers_of(self, conditions: tf.Tensor) -> list[tfb.Bijector]:
        """The bijectors of the layers, given conditions [N, C]; the last acts first."""
        raise NotImplementedError

    def transforms(self, conditions: tf.Tensor) -> list[tfb.Bijector]:
        layers = self.layers_of(conditions)
        if self.final is None:
            return layers
        shift, log_scale = tf.split(self.final(conditions[:, :0], conditions), 2, axis=-1)
        return [affine(shift, log_scale, bound=3.0), *layers]
